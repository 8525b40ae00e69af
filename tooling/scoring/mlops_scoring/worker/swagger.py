"""`/swagger.json`: what the endpoint takes and gives, in the versions that Azure ML's server writes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from mlops_scoring.worker.scoring import Schema

_ALIASES = {"2": ("2", "2.0"), "3": ("3", "3.0"), "3.1": ("3.1",)}
_USER_FILES = {"2": ("swagger.json", "swagger2.json"), "3": ("swagger3.json",), "3.1": ("swagger3.1.json",)}
_SECURITY = {"Bearer": {"type": "apiKey", "name": "Authorization", "in": "header", "description": "Bearer <key>"}}
_ERROR = {"type": "object", "properties": {"message": {"type": "string"}}}


class UnknownVersion(Exception):
    """Asked for a version that does not exist, or that cannot express the schema."""


class Swagger:
    """The documents of one model.

    Args:
        schema: What the model takes and gives.
        code_directory: Where the user's own documents may lie; they win over ours.
    """

    def __init__(self, schema: Schema, code_directory: str | None) -> None:
        """Write the documents once; they do not change."""
        self._documents: dict[str, Mapping[str, object]] = {}
        self._valid = {alias for aliases in _ALIASES.values() for alias in aliases}
        for version, aliases in _ALIASES.items():
            document = _users_own(version, code_directory)
            if document is None and schema.versions & set(aliases):
                document = _swagger_2(schema) if version == "2" else _openapi_3(schema, version)
            if document is not None:
                self._documents |= dict.fromkeys(aliases, document)

    def document(self, version: str) -> Mapping[str, object]:
        """The document of a version.

        Raises:
            UnknownVersion: There is none; the message names those that there are.
        """
        offered = ", ".join(version for version in _ALIASES if version in self._documents)
        if version not in self._valid:
            raise UnknownVersion(f"Swagger version [{version}] is not valid. Supported versions: [{offered}].")
        if version not in self._documents:
            raise UnknownVersion(
                f"Swagger version [{version}] is not supported for the scoring script. "
                f"Supported swagger versions: [{offered}]."
            )
        return self._documents[version]


def _users_own(version: str, code_directory: str | None) -> Mapping[str, object] | None:
    if code_directory is None:
        return None
    for name in _USER_FILES[version]:
        path = Path(code_directory, name)
        if path.is_file():
            document = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(document, dict):
                return document
    return None


def _info() -> dict[str, str]:
    name = os.environ.get("SERVICE_NAME", "ML service")
    return {
        "title": name,
        "description": f"API specification for the service {name}",
        "version": os.environ.get("SERVICE_VERSION", "1.0"),
    }


def _prefix() -> str:
    prefix = os.environ.get("SERVICE_PATH_PREFIX", "").strip("/")
    return f"/{prefix}" if prefix else ""


def _swagger_2(schema: Schema) -> dict[str, object]:
    failed = {"description": "The service failed.", "schema": {"$ref": "#/definitions/ErrorResponse"}}
    prefix = _prefix()

    def responses(description: str, good: Mapping[str, object]) -> dict[str, object]:
        return {"200": {"description": description, "schema": good}, "default": failed}

    version = {"name": "version", "in": "query", "required": False, "type": "integer", "enum": [2, 3]}
    payload = {"name": "serviceInputPayload", "in": "body", "schema": {"$ref": "#/definitions/ServiceInput"}}
    health = {"operationId": "ServiceHealthCheck", "responses": responses("'Healthy'", {"type": "string"})}
    output = {"$ref": "#/definitions/ServiceOutput"}
    score = {
        "operationId": "RunMLService",
        "security": [{"Bearer": []}],
        "parameters": [payload],
        "responses": responses("The prediction.", output),
    }
    swagger = {
        "operationId": "GetSwaggerSpec",
        "parameters": [version],
        "responses": responses("The specification.", {"type": "string"}),
    }
    return {
        "swagger": "2.0",
        "info": _info(),
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "securityDefinitions": _SECURITY,
        "paths": {f"{prefix}/": {"get": health}, f"{prefix}/score": {"post": score}, "/swagger.json": {"get": swagger}},
        "definitions": {"ServiceInput": schema.input, "ServiceOutput": schema.output, "ErrorResponse": _ERROR},
    }


def _openapi_3(schema: Schema, version: str) -> dict[str, object]:
    prefix = _prefix()

    def content(kind: str, described: Mapping[str, object]) -> dict[str, object]:
        return {"content": {kind: {"schema": described}}}

    def responses(description: str, kind: str, good: Mapping[str, object]) -> dict[str, object]:
        error = {"$ref": "#/components/schemas/ErrorResponse"}
        return {
            "200": {"description": description, **content(kind, good)},
            "default": {"description": "The service failed.", **content("application/json", error)},
        }

    text = {"type": "string", "example": "Healthy"}
    asked = {"name": "version", "in": "query", "required": False, "schema": {"type": "integer", "enum": [2, 3]}}
    health = {"operationId": "ServiceHealthCheck", "responses": responses("'Healthy'", "text/plain", text)}
    score = {
        "operationId": "RunMLService",
        "security": [{"Bearer": []}],
        "requestBody": content("application/json", {"$ref": "#/components/schemas/ServiceInput"}),
        "responses": responses("The prediction.", "application/json", {"$ref": "#/components/schemas/ServiceOutput"}),
    }
    swagger = {
        "operationId": "GetSwaggerSpec",
        "parameters": [asked],
        "responses": responses("The specification.", "text/plain", {"type": "string"}),
    }
    schemas = {"ServiceInput": schema.input, "ServiceOutput": schema.output, "ErrorResponse": _ERROR}
    return {
        "openapi": "3.1.0" if version == "3.1" else "3.0.3",
        "info": _info(),
        "security": [{"Bearer": []}],
        "paths": {f"{prefix}/": {"get": health}, f"{prefix}/score": {"post": score}, "/swagger.json": {"get": swagger}},
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
    }

"""`/swagger.json`: what the endpoint takes and gives, in the versions that Azure ML's server writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mlops_scoring.azureml_settings import Settings
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
        settings: Name and version of the service, and the prefix of its paths.
    """

    def __init__(self, schema: Schema, code_directory: str | None, settings: Settings) -> None:
        """Write the documents once; they do not change."""
        self._documents: dict[str, Mapping[str, object]] = {}
        self._valid = {alias for aliases in _ALIASES.values() for alias in aliases}
        for version, aliases in _ALIASES.items():
            document = _users_own(version, code_directory)
            if document is None and schema.versions & set(aliases):
                document = _swagger_2(schema, settings) if version == "2" else _openapi_3(schema, settings, version)
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


def _info(settings: Settings) -> dict[str, str]:
    return {
        "title": settings.service_name,
        "description": f"API specification for the service {settings.service_name}",
        "version": settings.service_version,
    }


def _swagger_2(schema: Schema, settings: Settings) -> dict[str, object]:
    failed = {"description": "The service failed.", "schema": {"$ref": "#/definitions/ErrorResponse"}}
    prefix = settings.path_prefix

    def responses(description: str, good: Mapping[str, object]) -> dict[str, object]:
        return {"200": {"description": description, "schema": good}, "default": failed}

    version = {"name": "version", "in": "query", "required": False, "type": "integer", "enum": [2, 3]}
    payload = {"name": "serviceInputPayload", "in": "body", "schema": {"$ref": "#/definitions/ServiceInput"}}
    healthy = {"description": "'Healthy'", "schema": {"type": "string"}, "examples": {"application/json": "Healthy"}}
    health = {"operationId": "ServiceHealthCheck", "responses": {"200": healthy, "default": failed}}
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
        "info": _info(settings),
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "securityDefinitions": _SECURITY,
        "paths": {
            f"{prefix}/": {"get": health},
            f"{prefix}/score": {"post": score},
            f"{prefix}/swagger.json": {"get": swagger},
        },
        "definitions": {"ServiceInput": schema.input, "ServiceOutput": schema.output, "ErrorResponse": _ERROR},
    }


def _openapi_3(schema: Schema, settings: Settings, version: str) -> dict[str, object]:
    prefix = settings.path_prefix

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
        "info": _info(settings),
        "security": [{"Bearer": []}],
        "paths": {
            f"{prefix}/": {"get": health},
            f"{prefix}/score": {"post": score},
            f"{prefix}/swagger.json": {"get": swagger},
        },
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
    }

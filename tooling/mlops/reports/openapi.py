"""The OpenAPI document of an endpoint: what its worker says of itself, with the endpoint's address and its security."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mlops.resource import JSON

_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_UNNAMED = "ML service"
"""The title that the scoring server gives where nobody gave one; it is Azure ML's."""

_SCORE = "/score"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a worker does not know of its endpoint.

    Attributes:
        name: The endpoint's name.
        uri: Where it is scored.
        guarded: Whether it asks who calls.
        description: What it is, as declared.
        sample: A request that it answers, where one is declared and is JSON.
    """

    name: str
    uri: str
    guarded: bool = False
    description: str = ""
    sample: JSON = None


def complete(document: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """An OpenAPI 2, 3.0 or 3.1 document that leads to the endpoint.

    Args:
        document: What the worker says.
        facts: What it does not know.
    """
    made: dict[str, Any] = json.loads(json.dumps(document))
    info = _object(made, "info")
    if info.get("title", _UNNAMED) == _UNNAMED:
        info["title"] = facts.name
        info["description"] = facts.description or f"Scores requests with {facts.name}."
    if "swagger" in made:
        _lead_2(made, facts)
    else:
        _lead_3(made, facts)
    _secure(made, guarded=facts.guarded)
    return made


def names_fields(document: Mapping[str, Any]) -> bool:
    """Whether a Swagger 2.0 document says of what parts a request consists, from which tools make parameters."""
    parameters = (_below(document, "paths", _SCORE, "post") or {}).get("parameters")
    for parameter in parameters if isinstance(parameters, list) else ():
        schema = _below(parameter, "schema") or {}
        name = str(schema.get("$ref", "")).removeprefix("#/definitions/")
        found = (_below(document, "definitions", name) or {}) if name else schema
        if found.get("properties") or found.get("items"):
            return True
    return False


def render_openapi(document: Mapping[str, Any]) -> str:
    """The document as JSON; it is ASCII, so that nothing in it acts on a terminal."""
    return json.dumps(document, indent=2) + "\n"


def _lead_2(made: dict[str, Any], facts: Facts) -> None:
    """Swagger 2.0 names scheme, host and path apart, and the key as a header."""
    address = urlsplit(facts.uri)
    made["schemes"] = [address.scheme]
    made["host"] = address.netloc
    made["basePath"] = address.path.removesuffix(_SCORE) or "/"
    made.pop("securityDefinitions", None)
    if facts.guarded:
        bearer = {"type": "apiKey", "name": "Authorization", "in": "header", "description": "Bearer, a space, a key"}
        made["securityDefinitions"] = {"Bearer": bearer}
    given = _below(made, "definitions", "ServiceInput")
    if facts.sample is not None and given is not None:
        given["example"] = facts.sample


def _lead_3(made: dict[str, Any], facts: Facts) -> None:
    made["servers"] = [{"url": facts.uri.removesuffix(_SCORE) or "/"}]
    components = _object(made, "components")
    components.pop("securitySchemes", None)
    if facts.guarded:
        components["securitySchemes"] = {"Bearer": {"type": "http", "scheme": "bearer"}}
    content = _below(made, "paths", _SCORE, "post", "requestBody", "content", "application/json")
    if facts.sample is not None and content is not None:
        content["example"] = facts.sample


def _secure(made: dict[str, Any], *, guarded: bool) -> None:
    """Security is asked for by the gateway, of every route but its own for health."""
    made.pop("security", None)
    for path, item in _object(made, "paths").items():
        for method, operation in item.items() if isinstance(item, dict) else ():
            if method in _METHODS and isinstance(operation, dict):
                operation.pop("security", None)
                if guarded and path != "/":
                    operation["security"] = [{"Bearer": []}]


def _object(made: dict[str, Any], key: str) -> dict[str, Any]:
    """The object under a key; a document that a user wrote may hold something else there, or nothing."""
    if not isinstance(made.get(key), dict):
        made[key] = {}
    found: dict[str, Any] = made[key]
    return found


def _below(value: Any, *path: str) -> dict[str, Any] | None:  # noqa: ANN401 - JSON
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None

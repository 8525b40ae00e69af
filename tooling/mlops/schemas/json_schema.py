"""JSON Schemas of the documents, for editors and other tools, made from the models that check them.

They can say less than the models and rules do, and never more: what a schema refuses, loading refuses too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from pydantic import BaseModel

from mlops.schemas.endpoint import Endpoint
from mlops.schemas.environment import Environment
from mlops.schemas.model import Model, Tombstones
from mlops.schemas.project import Project

JsonSchema: TypeAlias = "dict[str, Any]"

DIALECT = "https://json-schema.org/draft/2020-12/schema"
KINDS = ("project", "model", "tombstones", "environment", "endpoint", "stage")
"""The schemas that there are, each of the file `<kind>.schema.json`."""

_TITLES = {
    "project": "mlops.yaml",
    "model": "A version of a model: models/NAME/VERSION.yaml",
    "tombstones": "Deleted versions of a model: models/NAME/tombstones.yaml",
    "environment": "A version of a software environment: environments/NAME/VERSION.yaml",
    "endpoint": "What all stages of an endpoint share: endpoints/NAME/endpoint.yaml",
    "stage": "What a stage changes of an endpoint, as a JSON merge patch: endpoints/NAME/STAGE.yaml",
}


def json_schemas(options: Mapping[str, type[BaseModel]]) -> dict[str, JsonSchema]:
    """Every schema by kind.

    Args:
        options: The options of computes, by type.
    """
    endpoint = _plain(Endpoint.model_json_schema())
    made = {
        "project": _with_computes(_plain(Project.model_json_schema()), options),
        "model": _plain(Model.model_json_schema()),
        "tombstones": _plain(Tombstones.model_json_schema()),
        "environment": _plain(Environment.model_json_schema()),
        "endpoint": _partial(endpoint, nullable=False),
        "stage": _partial(endpoint, nullable=True),
    }
    return {kind: _headed(kind, made[kind]) for kind in KINDS}


def file_name(kind: str) -> str:
    """The name of a kind's file."""
    return f"{kind}.schema.json"


def _headed(kind: str, schema: JsonSchema) -> JsonSchema:
    rest = {key: value for key, value in schema.items() if key not in ("title", "description", "$defs")}
    definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return {"$schema": DIALECT, "$id": file_name(kind), "title": _TITLES[kind], **rest, **definitions}


def _within(schema: JsonSchema, change: Callable[[JsonSchema], JsonSchema]) -> JsonSchema:
    """A schema with each schema directly in it changed."""
    made = dict(schema)
    for key in ("properties", "$defs"):
        if key in made:
            made[key] = {name: change(below) for name, below in made[key].items()}
    for key in ("anyOf", "oneOf", "allOf"):
        if key in made:
            made[key] = [change(below) for below in made[key]]
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(made.get(key), dict):
            made[key] = change(made[key])
    return made


def _plain(schema: JsonSchema) -> JsonSchema:
    """A schema without what pydantic adds for Python, and with names of keys apart from what the keys hold.

    Left out are titles of fields, and defaults that only mean "left out".
    """
    made = {key: value for key, value in schema.items() if key not in ("title", "default")}
    for pattern, below in made.pop("patternProperties", {}).items():
        made["propertyNames"] = {**made.get("propertyNames", {}), "pattern": pattern}
        made["additionalProperties"] = below
    return _within(made, _plain)


def _partial(schema: JsonSchema, *, nullable: bool) -> JsonSchema:
    """A schema of documents that another completes: nothing is required, and null may remove."""
    made = _within(schema, partial(_partial, nullable=nullable))
    made = {key: value for key, value in made.items() if key not in ("required", "minProperties")}
    if nullable and "properties" in made:
        made["properties"] = {name: _or_null(below) for name, below in made["properties"].items()}
    if nullable and isinstance(made.get("additionalProperties"), dict):
        made["additionalProperties"] = _or_null(made["additionalProperties"])
    return made


def _or_null(schema: JsonSchema) -> JsonSchema:
    description = {"description": schema["description"]} if "description" in schema else {}
    rest = {key: value for key, value in schema.items() if key != "description"}
    return {**description, "anyOf": [rest, {"type": "null"}]}


def _with_computes(project: JsonSchema, options: Mapping[str, type[BaseModel]]) -> JsonSchema:
    definitions: JsonSchema = {name: body for name, body in project["$defs"].items() if name != "Compute"}
    branches = []
    for name, model in sorted(options.items()):
        schema = _plain(model.model_json_schema(ref_template=f"#/$defs/{name}-{{model}}"))
        definitions |= {f"{name}-{inner}": body for inner, body in schema.pop("$defs", {}).items()}
        kind = {"const": name, "description": "The compute type."}
        schema["properties"] = {"type": kind, **schema.get("properties", {})}
        schema["required"] = ["type", *schema.get("required", [])]
        definitions[f"compute-{name}"] = schema
        branches.append({"$ref": f"#/$defs/compute-{name}"})
    computes = {**project["properties"]["computes"], "additionalProperties": {"oneOf": branches}}
    return {**project, "properties": {**project["properties"], "computes": computes}, "$defs": definitions}

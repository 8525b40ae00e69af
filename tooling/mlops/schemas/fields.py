"""Types of fields that several documents share, and the base of all models.

Validators raise ValueError with sentences for the user; `check` turns them into problems with a place.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from mlops.schemas import names, quantities
from mlops.schemas.names import NameKind

_SECRET = "${secret:"  # noqa: S105 - the syntax of a reference, not a secret


class _Present:
    """A field that may be left out, but not left empty: null would say nothing and be kept."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Refuse null; a default is not validated, so it may be None."""
        return core_schema.no_info_after_validator_function(_not_empty, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema of the value that is there."""
        found = handler(schema)
        branches: list[JsonSchemaValue] = [branch for branch in found.get("anyOf", []) if branch != {"type": "null"}]
        if len(branches) == 1:
            return branches[0]
        return {**found, "anyOf": branches} if branches else found


def _not_empty(value: object) -> object:
    if value is None:
        raise ValueError("It is empty: write a value, or remove the key.")
    return value


_T = TypeVar("_T")
Maybe = Annotated[_T | None, _Present()]
"""A field that may be left out."""


class Document(BaseModel):
    """A mapping in a file: no unknown keys, no guessed types, nothing changed after reading."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class File(Document):
    """The root of a file."""

    editor_schema: Maybe[str] = Field(
        default=None, alias="$schema", description="The JSON Schema of this file, for editors; nothing else reads it."
    )


def _name(kind: NameKind) -> Any:  # noqa: ANN401 - pydantic's metadata
    shortest, longest = names.lengths(kind)
    schema = {"type": "string", "pattern": names.pattern(kind), "minLength": shortest, "maxLength": longest}
    return AfterValidator(partial(names.check_name, kind)), WithJsonSchema(schema)


def _whole_number_as_text(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        raise ValueError(f"{value} is a number in YAML and loses its zeros: put the version in quotes.")  # noqa: TRY004
    return value


def _reference(kind: NameKind, value: object) -> object:
    if isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - pydantic wants a ValueError
            f"It has a file of its own: write {kind}s/NAME/VERSION.yaml, and name it here as NAME:VERSION."
        )
    return str(names.parse_reference(value, kind)) if isinstance(value, str) else value


def _reference_type(kind: NameKind) -> Any:  # noqa: ANN401 - pydantic's metadata
    pattern = r"^(azureml:)?[A-Za-z0-9][A-Za-z0-9._-]*:[A-Za-z0-9][A-Za-z0-9._-]*$"
    return BeforeValidator(partial(_reference, kind)), WithJsonSchema({"type": "string", "pattern": pattern})


def _duration(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit: write for example {value}s.")  # noqa: TRY004 - pydantic wants it
    return quantities.parse_duration(value) if isinstance(value, str) else value


def _percent(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    return quantities.parse_percent(value)


def _cpu(value: object) -> object:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        quantities.parse_cpu(value)
        return str(value)
    return value


def _memory(value: object) -> object:
    if isinstance(value, str | int) and not isinstance(value, bool):
        quantities.parse_memory(value)
        return str(value)
    return value


def _no_secret(value: str) -> str:
    if _SECRET in value:
        raise ValueError("Nothing resolves references to secrets yet: remove it.")
    return value


def _relative(value: str) -> str:
    if "\\" in value:
        raise ValueError(f'"{value}" holds a backslash: separate folders by /.')
    if value.startswith(("/", "~")) or value[1:2] == ":":
        raise ValueError(f'"{value}" is not relative: write a path from the folder of this file.')
    if not value.strip("./"):
        raise ValueError(f'"{value}" names nothing below the folder of this file: write the path of a file or folder.')
    return value


def _schema(**schema: JsonValue) -> WithJsonSchema:
    return WithJsonSchema(dict(schema))


ProjectName = Annotated[str, *_name(NameKind.PROJECT)]
StageName = Annotated[str, *_name(NameKind.STAGE)]
ComputeName = Annotated[str, *_name(NameKind.COMPUTE)]
EndpointName = Annotated[str, *_name(NameKind.ENDPOINT)]
DeploymentName = Annotated[str, *_name(NameKind.DEPLOYMENT)]
ModelName = Annotated[str, *_name(NameKind.MODEL)]
EnvironmentName = Annotated[str, *_name(NameKind.ENVIRONMENT)]

VersionText = Annotated[
    str,
    BeforeValidator(_whole_number_as_text),
    AfterValidator(partial(names.check_name, NameKind.VERSION)),
    _schema(
        anyOf=[{"type": "string", "pattern": names.pattern(NameKind.VERSION), "maxLength": 32}, {"type": "integer"}]
    ),
]
ModelReference = Annotated[str, *_reference_type(NameKind.MODEL)]
EnvironmentReference = Annotated[str, *_reference_type(NameKind.ENVIRONMENT)]

Duration = Annotated[
    float,
    BeforeValidator(_duration),
    _schema(
        type="string",
        anyOf=[{"pattern": quantities.DURATION_PATTERN}, {"pattern": quantities.ISO_DURATION_PATTERN}],
        examples=["500ms", "30s", "10m", "1h30m", "PT30S"],
    ),
]
Percent = Annotated[
    float,
    BeforeValidator(_percent),
    _schema(
        anyOf=[
            {"type": "string", "pattern": quantities.PERCENT_PATTERN},
            {"type": "number", "minimum": 0, "maximum": 1},
        ],
        examples=["1%", 0.01],
    ),
]
Cpu = Annotated[
    str,
    BeforeValidator(_cpu),
    _schema(anyOf=[{"type": "string", "pattern": quantities.CPU_PATTERN}, {"type": "number", "exclusiveMinimum": 0}]),
]
Memory = Annotated[
    str,
    BeforeValidator(_memory),
    _schema(
        anyOf=[{"type": "string", "pattern": quantities.MEMORY_PATTERN}, {"type": "integer", "exclusiveMinimum": 0}]
    ),
]
RelativePath = Annotated[str, Field(min_length=1), AfterValidator(_relative)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=4096)]
Tags = dict[Annotated[str, Field(min_length=1, max_length=256)], Text]
Variables = dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], Annotated[str, AfterValidator(_no_secret)]]
Number = int | float
NonNegative = Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0)]
Seconds = Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0)]

"""Pydantic's errors in the words of this product: what is wrong, what it should be, what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mlops.errors import did_you_mean
from mlops.resource import JSON
from mlops.schemas.problems import DocumentPath, Problem, dotted
from mlops.schemas.unsupported import KEYS, VALUES

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_SHOWN = 60
_LONGEST = 360
_ADVICE = ("write ", "put ", "separate ", "declare ", "remove ")


class _Place(NamedTuple):
    """The innermost model around a value, the key in it, and that key's field."""

    model: type[BaseModel] | None
    key: str
    field: FieldInfo | None


def problem_of(model: type[BaseModel], data: JSON, path: DocumentPath, errors: Sequence[Mapping[str, Any]]) -> Problem:
    """One problem for one place, where pydantic may give one error for each branch of a union.

    Args:
        model: The document's model.
        data: The document's data.
        path: The place.
        errors: What pydantic says of it.
    """
    error = next((e for e in errors if not str(e["type"]).endswith("_type")), errors[0])
    place = _place(model, path)
    kind = str(error["type"])
    if kind == "missing":
        return _missing(path, place)
    if kind == "extra_forbidden":
        return _unknown_key(model, path)
    if kind == "literal_error":
        return _unknown_value(path, place, error)
    if kind == "value_error":
        return _refused_value(path, error)
    if all(str(e["type"]) in _EXPECTED for e in errors):
        return _wrong_type(path, errors, _value(data, path), place)
    return _out_of_bounds(path, error, _value(data, path), place)


def _refused_value(path: DocumentPath, error: Mapping[str, Any]) -> Problem:
    """What a validator of ours said: a sentence, and after a colon what to write instead."""
    at_key = error["loc"][-1:] == ("[key]",)
    said = _short(str(error["ctx"]["error"]))
    detail, colon, todo = said.partition(": ")
    if not colon or not todo.startswith(_ADVICE):
        detail, todo = said, ""
    todo = f"{todo[:1].upper()}{todo[1:]}"
    summary = "Invalid name" if at_key else "Empty value" if error["input"] is None else "Invalid value"
    return Problem(path, summary, f"{detail}." if colon and todo else detail, todo, at_key=at_key)


def _short(said: str) -> str:
    """A sentence about a value that goes on and on, without the middle of the value."""
    return said if len(said) <= _LONGEST else f"{said[:_SHOWN]}…{said[-_LONGEST // 2 :]}"


def _missing(path: DocumentPath, place: _Place) -> Problem:
    holder = f'"{dotted(path[:-1])}"' if path[:-1] else "the file"
    detail = f'"{path[-1]}" is missing from {holder}.'
    return Problem(path[:-1], "Missing key", detail, _means(place, "Write it"), at_key=True)


def _unknown_key(root: type[BaseModel], path: DocumentPath) -> Problem:
    key = str(path[-1])
    model = _model_at(root, path[:-1])
    known = [field.alias or name for name, field in model.model_fields.items()] if model else []
    reason = KEYS.get(model.__name__, {}).get(key, "") if model else ""
    guess = did_you_mean(key, known)
    listed = f"Known keys: {', '.join(name for name in known if not name.startswith('$'))}."
    todo = reason or guess or (listed if known else "Remove it.")
    holder = f' in "{dotted(path[:-1])}"' if path[:-1] else ""
    return Problem(path, "Unknown key", f'"{key}" is not known{holder}.', todo, at_key=True)


def _unknown_value(path: DocumentPath, place: _Place, error: Mapping[str, Any]) -> Problem:
    value = error["input"]
    accepted = _choices(place.field.annotation) if place.field else []
    reason = VALUES.get((place.model.__name__, place.key, str(value)), "") if place.model else ""
    detail = f'"{dotted(path)}" is {_described(value)}; it takes {_either(accepted)}.'
    if reason:
        return Problem(path, "Not supported yet", detail, reason)
    return Problem(path, "Unknown value", detail, did_you_mean(str(value), accepted) or _means(place, "It is"))


def _wrong_type(path: DocumentPath, errors: Sequence[Mapping[str, Any]], value: JSON, place: _Place) -> Problem:
    expected = list(dict.fromkeys(_EXPECTED[str(error["type"])] for error in errors))
    detail = f"{_subject(path)} should be {_either(expected, quoted=False)}, but is {_described(value)}."
    if value is None:
        todo = "Write {} if it has none." if expected == ["a mapping"] else "Write a value, or remove the key."
    elif "text" in expected and isinstance(value, bool | int | float):
        todo = f'Put it in quotes: "{json.dumps(value)}".'
    elif isinstance(value, str) and expected[0] in {"a whole number", "a number", "true or false"}:
        todo = "Write it without quotes."
    else:
        todo = _means(place, "It is") or "Write keys and values."
    return Problem(path, "Wrong type", detail, todo)


def _out_of_bounds(path: DocumentPath, error: Mapping[str, Any], value: JSON, place: _Place) -> Problem:
    context = error.get("ctx", {})
    match str(error["type"]):
        case "greater_than_equal":
            rule = f"should be at least {context['ge']}"
        case "greater_than":
            rule = f"should be more than {context['gt']}"
        case "less_than_equal":
            rule = f"should be at most {context['le']}"
        case "string_pattern_mismatch":
            rule = f"should match {context['pattern']}"
        case "too_short" | "string_too_short":
            rule = f"should hold at least {context['min_length']}"
        case "too_long" | "string_too_long":
            rule = f"should hold at most {context['max_length']}"
        case _:
            rule = str(error["msg"]).replace("Input should", "should")
    detail = f"{_subject(path)} is {_described(value)}; it {rule}."
    return Problem(path, "Invalid value", detail, _means(place, "It is"))


def _subject(path: DocumentPath) -> str:
    return f'"{dotted(path)}"' if path else "The file"


def _means(place: _Place, begin: str) -> str:
    description = place.field.description if place.field else None
    return f"{begin}: {description[0].lower()}{description[1:]}" if description else ""


def _described(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return json.dumps(value)
        case int() | float():
            return f"the number {value}"
        case str():
            shown = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
            return f'"{shown}"'
        case list() | tuple():
            return "a list" if value else "an empty list"
        case _:
            return "a mapping" if value else "an empty mapping"


def _either(names: Sequence[str], *, quoted: bool = True) -> str:
    texts = [f'"{name}"' if quoted else name for name in names]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}" if texts else "something else"


def _value(data: Any, path: DocumentPath) -> Any:  # noqa: ANN401 - plain data
    for part in path:
        data = data[part]
    return data


def _place(root: type[BaseModel], path: DocumentPath) -> _Place:
    """Look from the innermost mapping with fields outwards for the key that a path names."""
    for end in range(len(path), 0, -1):
        key = path[end - 1]
        model = _model_at(root, path[: end - 1])
        if model is not None and isinstance(key, str):
            return _Place(model, key, _field(model, key))
    return _Place(None, "", None)


def _field(model: type[BaseModel], key: str) -> FieldInfo | None:
    return next((field for name, field in model.model_fields.items() if key == (field.alias or name)), None)


def _model_at(root: type[BaseModel], path: DocumentPath) -> type[BaseModel] | None:
    """The model of the mapping at a path, if it has one."""
    annotations: list[Any] = [root]
    for part in path:
        annotations = [below for annotation in annotations for below in _below(annotation, part)]
    models = [annotation for annotation in annotations if _is_model(annotation)]
    return models[0] if models else None


def _below(annotation: Any, part: str | int) -> list[Any]:  # noqa: ANN401 - type expressions
    if _is_model(annotation):
        field = _field(annotation, str(part))
        return _branches(field.annotation) if field else []
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return _branches(arguments[1])
    return _branches(arguments[0]) if get_origin(annotation) is list else []


def _branches(annotation: Any) -> list[Any]:  # noqa: ANN401 - type expressions
    """A type without Annotated, and the members of a union apart."""
    if hasattr(annotation, "__metadata__"):
        return _branches(get_args(annotation)[0])
    if _is_model(annotation) or get_origin(annotation) in (dict, list):
        return [annotation]
    return [branch for argument in get_args(annotation) if argument is not type(None) for branch in _branches(argument)]


def _is_model(annotation: Any) -> bool:  # noqa: ANN401 - type expressions
    return isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel)


def _choices(annotation: Any) -> list[str]:  # noqa: ANN401 - type expressions
    """The accepted values of a Literal, also within a union."""
    found: list[str] = []
    for argument in get_args(annotation):
        if isinstance(argument, str):
            found.append(argument)
        elif argument is not type(None):
            found.extend(_choices(argument))
    return found

"""What swagger says of a model that takes tensors by name."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_scoring.worker.prediction import TensorSpec
from mlops_scoring.worker.scoring import Schema


def tensors_schema(inputs: Sequence[TensorSpec]) -> Schema:
    """The schema of `/score` for inputs that are not rows."""
    named = {spec.name: _nested(spec) for spec in inputs}
    form = {"type": "object", "properties": named, "required": list(named)}
    properties: dict[str, object] = {"inputs": form}
    if len(inputs) == 1:
        properties["data"] = _nested(inputs[0])
    properties["method"] = {"type": "string", "enum": ["predict", "predict_proba"]}
    example = {"inputs": {spec.name: _example(spec) for spec in inputs}}
    output = {"type": "array", "items": {}, "example": [0]}
    return Schema({"type": "object", "properties": properties, "example": example}, output)


def _nested(spec: TensorSpec) -> dict[str, object]:
    kind = {"BYTES": "string", "BOOL": "boolean"}.get(spec.datatype)
    schema: dict[str, object] = {"type": kind or ("number" if spec.datatype.startswith("FP") else "integer")}
    for length in reversed(spec.shape):
        schema = {"type": "array", "items": schema}
        if length != -1:
            schema |= {"minItems": length, "maxItems": length}
    return schema


def _example(spec: TensorSpec) -> object:
    value: object = {"BYTES": "", "BOOL": False}.get(spec.datatype, 0)
    size = 1
    for length in spec.shape:
        size *= max(length, 1)
    if size > 1024:
        return []  # an image would make the document unreadable
    for length in reversed(spec.shape):
        value = [value] * max(length, 1)
    return value

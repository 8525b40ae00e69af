"""Whether a Swagger 2.0 document says of what a request consists."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.reports.openapi import names_fields
from mlops_scoring.worker.runtimes.tabular import table_schema


def document(schema: object, **definitions: object) -> dict[str, Any]:
    parameters = [{"name": "body", "in": "body", "schema": schema}]
    return {"paths": {"/score": {"post": {"parameters": parameters}}}, "definitions": definitions}


REFERENCE = {"$ref": "#/definitions/ServiceInput"}
ROWS = {"type": "array", "items": {"type": "number"}}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (document(REFERENCE, ServiceInput=table_schema(2, ["a", "b"], numeric=True).input), True),
        (document(REFERENCE, ServiceInput=ROWS), True),
        (document(ROWS), True),
        (document(REFERENCE, ServiceInput={"type": "object", "example": {"a": 1}}), False),
        (document(REFERENCE, ServiceInput={"type": "object", "properties": {}}), False),
        (document(REFERENCE), False),
        (document(None), False),
        ({"paths": {"/score": {"post": {"parameters": "none"}}}}, False),
        ({"paths": []}, False),
    ],
)
def test_fields_are_named(told: dict[str, Any], *, expected: bool) -> None:
    assert names_fields(told) is expected

"""The checked-in JSON Schemas: fresh, described, and no stricter than loading."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops.errors import NotFound
from mlops.loader.plain import read_plain
from mlops.pipeline.schema import schema, schemas, stale_schemas, write_schemas
from mlops.schemas.json_schema import KINDS, file_name

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "schemas"
TYPES: dict[str, Any] = {"string": str, "integer": int, "number": int | float, "array": list, "object": dict}
KEYWORDS = {
    "$schema", "$id", "$defs", "$ref", "title", "description", "examples", "type", "const", "enum", "pattern",
    "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "minItems", "maxItems", "minProperties",
    "properties", "required", "additionalProperties", "propertyNames", "items", "anyOf", "oneOf",
}  # fmt: skip


def load(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / file_name(kind)).read_text(encoding="utf-8"))
    return found


def is_type(value: object, name: str) -> bool:
    if name == "null" or value is None:
        return name == "null" and value is None
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, TYPES[name])


def fits(root: dict[str, Any], rule: Any, value: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether a value fits a schema, by the keywords that ours use."""
    if rule in (True, False):
        return bool(rule)
    if "$ref" in rule and not fits(root, root["$defs"][rule["$ref"].removeprefix("#/$defs/")], value):
        return False
    checks = [
        "type" not in rule or is_type(value, rule["type"]),
        "const" not in rule or value == rule["const"],
        "enum" not in rule or value in rule["enum"],
        "anyOf" not in rule or any(fits(root, branch, value) for branch in rule["anyOf"]),
        "oneOf" not in rule or sum(fits(root, branch, value) for branch in rule["oneOf"]) == 1,
    ]
    if isinstance(value, str):
        checks.append(re.search(rule.get("pattern", ""), value) is not None)
        checks.append(rule.get("minLength", 0) <= len(value) <= rule.get("maxLength", len(value)))
    if isinstance(value, int | float) and not isinstance(value, bool):
        checks.append(rule.get("minimum", value) <= value <= rule.get("maximum", value))
        checks.append(value > rule.get("exclusiveMinimum", value - 1))
    if isinstance(value, list):
        checks.append(rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value)))
        checks.extend(fits(root, rule.get("items", True), item) for item in value)
    if isinstance(value, dict):
        checks.extend(mapping_checks(root, rule, value))
    return all(checks)


def mapping_checks(root: dict[str, Any], rule: dict[str, Any], value: dict[str, Any]) -> Iterator[bool]:
    known = rule.get("properties", {})
    yield len(value) >= rule.get("minProperties", 0)
    yield all(key in value for key in rule.get("required", ()))
    for key, below in value.items():
        yield fits(root, rule.get("propertyNames", True), key)
        yield fits(root, known[key] if key in known else rule.get("additionalProperties", True), below)


def within(rule: object) -> Iterator[dict[str, Any]]:
    """A schema and all schemas in it."""
    if isinstance(rule, list):
        for item in rule:
            yield from within(item)
    if isinstance(rule, dict):
        yield rule
        for key in ("anyOf", "oneOf", "items", "additionalProperties", "propertyNames"):
            yield from within(rule.get(key))
        for key in ("properties", "$defs"):
            yield from within(list(rule.get(key, {}).values()))


def test_the_checked_in_schemas_are_fresh() -> None:
    assert stale_schemas(FOLDER) == (), "run: python -m mlops.pipeline.schema"


def test_stale_and_missing_schemas_are_found_and_written(tmp_path: Path) -> None:
    assert {path.name for path in write_schemas(tmp_path)} == set(schemas()) > {file_name(kind) for kind in KINDS}
    (tmp_path / "model.schema.json").write_text("{}", encoding="utf-8")
    (tmp_path / "stage.schema.json").unlink()
    assert {path.name for path in stale_schemas(tmp_path)} == {"model.schema.json", "stage.schema.json"}
    write_schemas(tmp_path)
    assert stale_schemas(tmp_path) == ()


def test_one_schema_by_kind() -> None:
    assert schema("model") == schemas()["model.schema.json"]
    with pytest.raises(NotFound, match='Did you mean "model"'):
        schema("modell")


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_described_and_every_keyword_known_here(kind: str) -> None:
    root = load(kind)
    assert root["$id"] == file_name(kind)
    for rule in within(root):
        assert rule.keys() <= KEYWORDS
        for name, below in rule.get("properties", {}).items():
            targets = [root["$defs"][r["$ref"].removeprefix("#/$defs/")] for r in within(below) if "$ref" in r]
            assert any(found.get("description") for found in (below, *targets)), (kind, name)


def documents() -> Iterator[tuple[str, str]]:
    yield "project", "mlops.yaml"
    for path in sorted(ROOT.glob("models/*/*.yaml")):
        yield "tombstones" if path.name == "tombstones.yaml" else "model", str(path.relative_to(ROOT))
    for path in sorted(ROOT.glob("environments/*/*.yaml")):
        yield "environment", str(path.relative_to(ROOT))
    for path in sorted(ROOT.glob("endpoints/*/*.yaml")):
        yield "endpoint" if path.name == "endpoint.yaml" else "stage", str(path.relative_to(ROOT))


@pytest.mark.parametrize(("kind", "file"), list(documents()))
def test_the_documents_of_this_repository_fit_their_schemas(kind: str, file: str) -> None:
    root = load(kind)
    assert fits(root, root, read_plain(ROOT, file))


SHA = "0" * 64
BLUE = {"model": "a:1", "environment": "b:1"}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (
            "project",
            {"project": "demo", "stages": {"dev": {}}, "computes": {"laptop": {"type": "local", "prots": "1"}}},
        ),
        ("project", {"project": "demo", "stages": {"dev": {}}, "computes": {"laptop": {"type": "lokal"}}}),
        ("project", {"project": "demo", "stages": {"De v": {}}}),
        ("project", {"project": "demo"}),
        ("model", {"sha256": "abc", "path": "a"}),
        ("model", {"sha256": SHA, "path": None}),
        ("environment", {"requirements": 3}),
        ("environment", {"requirements": [], "python": "4"}),
        ("endpoint", {"deployments": {"blue": {"modl": "a:1"}}}),
        ("endpoint", {"auth_mode": "aad_token"}),
        ("stage", {"deployments": {"blue": {**BLUE, "instance_count": 0}}}),
        ("stage", {"timeout": 3}),
        ("tombstones", {"versions": [1.5]}),
    ],
)
def test_what_a_schema_refuses(kind: str, value: object) -> None:
    root = load(kind)
    assert not fits(root, root, value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("project", {"project": "demo", "stages": {"dev": {}}, "computes": {"laptop": {"type": "local"}}}),
        ("model", {"sha256": SHA, "path": "a", "version": 3, "trained_by": {"parameters": {"a": [1, None]}}}),
        ("environment", {"conda_file": {"dependencies": ["python=3.11"]}}),
        ("endpoint", {}),
        ("endpoint", {"deployments": {"blue": {"environment": "b:1"}}, "properties": {"a": "b"}}),
        ("stage", {"deployments": {"blue": None, "green": BLUE}, "timeout": "PT1M", "description": None}),
        ("tombstones", {"versions": [1, "2", {"version": 3, "reason": "x"}]}),
    ],
)
def test_what_a_schema_accepts(kind: str, value: object) -> None:
    root = load(kind)
    assert fits(root, root, value)

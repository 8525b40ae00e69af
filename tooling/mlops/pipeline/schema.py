"""`mlops schema`: the JSON Schemas of the documents, printed, written, or compared with those that are checked in."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mlops import drivers
from mlops.errors import Diagnostic, NotFound, did_you_mean
from mlops.schemas import json_schema

_FOLDER = "schemas"
PLAN = "plan"
"""The kind of a plan file, which no person writes."""

KINDS = (*json_schema.KINDS, PLAN)
"""Every kind that has a schema."""


def schemas() -> dict[str, str]:
    """The text of every schema by file name; computes with the options of every driver that is installed."""
    options = {name: drivers.load(name).Spec for name in drivers.names()}
    made = {**json_schema.json_schemas(options), PLAN: _plan_schema()}
    return {json_schema.file_name(kind): _text(shape) for kind, shape in made.items()}


def _plan_schema() -> dict[str, object]:
    """The shape of a plan file, which is JSON that the toolkit writes."""
    from mlops.plan.document import PlanDocument  # noqa: PLC0415 - pydantic, which only this and reading a plan need

    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": json_schema.file_name(PLAN)}
    return {**head, **PlanDocument.model_json_schema(), "title": "A plan"}


def schema(kind: str) -> str:
    """The text of one schema.

    Raises:
        NotFound: There is no such kind.
    """
    if kind not in KINDS:
        detail = f'"{kind}" has no schema. {did_you_mean(kind, KINDS)}'.rstrip()
        raise NotFound(Diagnostic("No such schema", detail, todo=f"Kinds: {', '.join(KINDS)}."))
    return schemas()[json_schema.file_name(kind)]


def write_schemas(folder: Path) -> tuple[Path, ...]:
    """Write every schema into a folder; return the files that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = stale_schemas(folder)
    made = schemas()
    for path in changed:
        path.write_text(made[path.name], encoding="utf-8")
    return changed


def stale_schemas(folder: Path) -> tuple[Path, ...]:
    """The files of a folder that are missing or differ from what would be written."""
    return tuple(folder / name for name, text in schemas().items() if _read(folder / name) != text)


def _text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None


def _main(arguments: list[str]) -> int:
    """`python -m mlops.pipeline.schema [--check] [FOLDER]`: write the schemas, or fail where they are stale."""
    check = "--check" in arguments
    folders = [argument for argument in arguments if argument != "--check"]
    folder = Path(folders[0] if folders else _FOLDER)
    found = stale_schemas(folder) if check else write_schemas(folder)
    for path in found:
        sys.stderr.write(f"{'stale' if check else 'written'}: {path}\n")
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))

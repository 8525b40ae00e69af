"""`mlops schema`: the JSON Schemas of the documents, printed, written, or compared with those that are checked in."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mlops import drivers
from mlops.errors import Diagnostic, NotFound, did_you_mean
from mlops.schemas.json_schema import KINDS, file_name, json_schemas

_FOLDER = "schemas"


def schemas() -> dict[str, str]:
    """The text of every schema by file name; computes with the options of every driver that is installed."""
    options = {name: drivers.load(name).Spec for name in drivers.names()}
    return {file_name(kind): _text(schema) for kind, schema in json_schemas(options).items()}


def schema(kind: str) -> str:
    """The text of one schema.

    Raises:
        NotFound: There is no such kind.
    """
    if kind not in KINDS:
        detail = f'"{kind}" has no schema. {did_you_mean(kind, KINDS)}'.rstrip()
        raise NotFound(Diagnostic("No such schema", detail, todo=f"Kinds: {', '.join(KINDS)}."))
    return schemas()[file_name(kind)]


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

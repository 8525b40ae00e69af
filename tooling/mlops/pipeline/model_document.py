"""The text of a model's YAML: written once by us, edited later without touching what people wrote around it."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlops.errors import Diagnostic, InvalidRepository, Location
from mlops.resource import JSON
from mlops.schemas.kinds import DocumentKind

_SCHEMAS = {DocumentKind.MODEL: "model", DocumentKind.TOMBSTONES: "tombstones"}
_WIDTH = 4096
"""Lines are not folded: a folded line is a changed line."""


def render(kind: DocumentKind, document: Mapping[str, JSON], file: str) -> bytes:
    """The YAML of a new document, with the comment by which editors find its schema.

    Args:
        kind: MODEL or TOMBSTONES.
        document: What it says.
        file: Where it will be, for messages.

    Raises:
        InvalidRepository: The schema refuses it; with every problem.
    """
    _check(kind, document, file)
    stream = io.StringIO()
    stream.write(f"# yaml-language-server: $schema=../../schemas/{_SCHEMAS[kind]}.schema.json\n")
    _yaml().dump(dict(document), stream)
    return stream.getvalue().encode()


def edit(path: Path, file: str, changes: Mapping[str, Mapping[str, str | None] | str | None]) -> bool:
    """Change some keys of a model's YAML in place; comments, order and quoting of the rest stay.

    Args:
        path: The file.
        file: Its path relative to the repository, for messages.
        changes: By key: a text, or None to remove it; or a mapping whose entries are changed the same way.

    Returns:
        Whether anything differs now.

    Raises:
        InvalidRepository: The outcome would be refused; the file is as it was then.
    """
    before = path.read_bytes()
    text = before.decode()
    yaml = _yaml(text)
    document = yaml.load(text)
    for key, change in changes.items():
        _apply(document, key, change)
    _check(DocumentKind.MODEL, _plain(document), file)
    stream = io.StringIO()
    yaml.dump(document, stream)
    after = stream.getvalue().encode()
    if _plain(document) == _plain(_yaml(text).load(text)):
        return False
    write(path, after)
    return True


def append_tombstone(path: Path, file: str, tombstone: Mapping[str, JSON]) -> None:
    """Add a version to a model's tombstones, making the file where there is none.

    Raises:
        InvalidRepository: The file cannot be understood.
    """
    if not path.exists():
        write(path, render(DocumentKind.TOMBSTONES, {"versions": [dict(tombstone)]}, file))
        return
    text = path.read_bytes().decode()
    yaml = _yaml(text)
    document = yaml.load(text)
    document["versions"].append(dict(tombstone))
    _check(DocumentKind.TOMBSTONES, _plain(document), file)
    stream = io.StringIO()
    yaml.dump(document, stream)
    write(path, stream.getvalue().encode())


def write(path: Path, content: bytes) -> None:
    """Replace a file at once: readers see the old content or the new."""
    temporary = _temporary(path, content)
    try:
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_new(path: Path, content: bytes) -> None:
    """Make a file that must not be there yet, complete from its first moment.

    Raises:
        FileExistsError: It is there.
    """
    temporary = _temporary(path, content)
    try:
        path.hardlink_to(temporary)
    except PermissionError:  # a file system without hard links, such as exFAT
        with path.open("xb") as stream:
            stream.write(content)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path: Path, content: bytes) -> Path:
    """A hidden, complete file beside a path; hidden files are no documents."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return temporary


def _apply(document: Any, key: str, change: Mapping[str, str | None] | str | None) -> None:  # noqa: ANN401 - ruamel's
    if isinstance(change, Mapping):
        inner = document.setdefault(key, {})
        for name, value in change.items():
            _apply(inner, name, value)
        if not inner:
            del document[key]
    elif change is None:
        document.pop(key, None)
    else:
        document[key] = change


def _check(kind: DocumentKind, document: Mapping[str, JSON], file: str) -> None:
    from mlops.schemas.check import check_document  # noqa: PLC0415 - imports pydantic

    problems = check_document(kind, document).problems
    if problems:
        raise InvalidRepository(
            *(Diagnostic(problem.summary, problem.detail, Location(file), problem.todo) for problem in problems)
        )


def _plain(value: Any) -> Any:  # noqa: ANN401 - ruamel's containers as JSON
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Collection) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return value if kind is bool else kind(value)
    return value


def _yaml(text: str = "") -> Any:  # noqa: ANN401 - ruamel has no types
    """A parser that keeps what it need not change; indents as the text does."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - only writing needs it
    from ruamel.yaml.util import load_yaml_guess_indent  # noqa: PLC0415 - as above

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    _, mapping, offset = load_yaml_guess_indent(text) if text else (None, 2, 0)
    offset = offset or 0
    yaml.indent(mapping=mapping or 2, sequence=offset + 2, offset=offset)
    return yaml

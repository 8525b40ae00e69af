"""What an environment installs: its requirements in one spelling, and whether its lock was made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops.conda import read_conda
from mlops.errors import Diagnostic, InvalidRepository, Location
from mlops.loader.cache import Cache
from mlops.loader.text import TextProblem, decode, read_bounded
from mlops.loader.yaml import parse
from mlops.lockfile import LockInput, lock_is_current, read_requirements, server_requirements
from mlops.resolve.paths import folder_of, within
from mlops.resolve.repository import Content, Data, Document, FileContent, Packages
from mlops.resource import JSON
from mlops.schemas.problems import Problem

_LOCK_LIMIT = 16 << 20
"""Largest lock file; bytes."""


@dataclass(frozen=True, slots=True)
class _Declared:
    """What is installed, before the lock is looked at."""

    requirements: tuple[str, ...]
    python: str | None
    conda_only: tuple[str, ...] = ()


class _Unread(Exception):
    """The file that lists packages cannot be read; that is reported where its content is."""


def packages_of(
    root: Path, cache: Cache, key: str, document: Document, content: Mapping[str, Content], lock: str | None
) -> Packages:
    """What an environment installs.

    Args:
        root: The repository's root.
        cache: Keeps what is in order.
        key: `name:version`.
        document: The environment.
        content: Digests of the files that documents name.
        lock: Path of the lock, where there is one.
    """
    name = _cache_key(document, content, lock)
    known = cache.document(name) if name is not None else None
    if isinstance(known, Mapping):
        return Packages(_texts(known["requirements"]), lock, conda_only=_texts(known["conda_only"]))
    packages = _read(root, key, document, lock)
    if name is not None and not packages.problems and not packages.diagnostics:
        cache.keep_document(name, {"requirements": packages.requirements, "conda_only": packages.conda_only})
    return packages


def lock_input(root: Path, document: Document) -> LockInput:
    """All that the lock of an environment depends on.

    Raises:
        InvalidRepository: Its requirements cannot be used.
    """
    try:
        declared = _declared(root, document)
    except _Unread as error:
        raise InvalidRepository(Diagnostic("File cannot be read", str(error), Location(document.file))) from error
    return _lock_input(declared, document.data)


def _lock_input(declared: _Declared, data: Data) -> LockInput:
    return LockInput(declared.requirements, declared.python, tuple(data.get("platforms", ())), server_requirements())


def _cache_key(document: Document, content: Mapping[str, Content], lock: str | None) -> str | None:
    """A key made of all that decides the outcome; None where some of it cannot be read."""
    from mlops.resource import digest  # noqa: PLC0415 - beside its only use

    parts: list[JSON] = [dict(document.data)]
    for path in (lock, _listing(document)):
        found = content.get(path) if path is not None else None
        if path is not None and not isinstance(found, FileContent):
            return None
        parts.append(found.sha256 if isinstance(found, FileContent) else None)
    return f"packages:{digest(parts)}"


def _listing(document: Document) -> str | None:
    """Path of the file that lists the packages, relative to the repository."""
    named = document.data.get("requirements", document.data.get("conda_file"))
    return within(folder_of(document.file), named) if isinstance(named, str) else None


def _read(root: Path, key: str, document: Document, lock: str | None) -> Packages:
    try:
        declared = _declared(root, document)
    except _Unread as error:
        return Packages(lock=lock, problems=(Problem(_listing_path(document), "File cannot be read", str(error)),))
    except InvalidRepository as error:
        return Packages(lock=lock, diagnostics=error.diagnostics)
    problem = _lock_problem(root, key, declared, document, lock)
    problems = (problem,) if problem else ()
    return Packages(declared.requirements, lock, problems, declared.conda_only)


def _listing_path(document: Document) -> tuple[str, ...]:
    return ("requirements",) if "requirements" in document.data else ("conda_file",)


def _declared(root: Path, document: Document) -> _Declared:
    data = document.data
    python = data.get("python")
    if "conda_file" in data:
        named = data["conda_file"]
        file = document.file if not isinstance(named, str) else str(_listing(document))
        conda = read_conda(_conda_document(root, document) if isinstance(named, str) else named, Location(file))
        return _Declared(conda.requirements, python or conda.python, conda.unmet)
    requirements = data.get("requirements", ())
    if isinstance(requirements, str):
        return _Declared(read_requirements(_text(root, document), Location(str(_listing(document)), 1)), python)
    return _Declared(_inline(requirements, document.file), python)


def _inline(requirements: Sequence[str], file: str) -> tuple[str, ...]:
    return read_requirements("\n".join(requirements), Location(file))


def _conda_document(root: Path, document: Document) -> JSON:
    parsed = parse(_text(root, document))
    if parsed.problems:
        file = str(_listing(document))
        raise InvalidRepository(
            *(Diagnostic(p.summary, p.detail, Location(file, p.line, p.column), p.todo) for p in parsed.problems)
        )
    return parsed.data


def _text(root: Path, document: Document) -> str:
    file = _listing(document)
    if file is None:
        raise _Unread("It is outside of the repository.")
    outcome = read_bounded(root / file)
    text = outcome if isinstance(outcome, TextProblem) else decode(outcome[0])
    if isinstance(text, TextProblem):
        raise _Unread(f"{file}: {text.detail}")
    return text


def _lock_problem(root: Path, key: str, declared: _Declared, document: Document, lock: str | None) -> Problem | None:
    command = f"mlops environment lock {key}"
    if lock is None:
        if declared.conda_only or "image" in document.data or not {"requirements", "conda_file"} & document.data.keys():
            return None
        detail = "Without a lock, nobody can say what would be installed."
        return Problem((), "Environment has no lock", detail, "Make one, and commit it:", command)
    outcome = read_bounded(root / lock, _LOCK_LIMIT)
    text = outcome if isinstance(outcome, TextProblem) else decode(outcome[0])
    if isinstance(text, TextProblem):
        return Problem((), text.summary, f"{lock}: {text.detail}", text.todo, text.command or command)
    if lock_is_current(text, _lock_input(declared, document.data)):
        return None
    detail = f"{lock} was made from other requirements, Python or platforms than {document.file} declares."
    todo = "Put back what was locked, or, if this version was never used, make the lock again:"
    return Problem((), "Lock is out of date", detail, todo, command)


def _texts(value: JSON) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, Sequence) and not isinstance(value, str) else ()

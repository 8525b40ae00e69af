"""Requirements, Conda files and locks of environments, read from their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops.conda import read_conda
from mlops.errors import Diagnostic, InvalidRepository, Location
from mlops.loader.listing import listing
from mlops.loader.text import TextProblem, decode, read_bounded
from mlops.loader.yaml import parse
from mlops.lockfile import LockInput, lock_is_current, read_requirements, server_requirements, stray_line
from mlops.resolve.repository import Data, Document, Packages
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


class _Refused(Exception):
    """Requirements that cannot be used, with their places in the environment's document."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


def read_packages(root: Path, key: str, document: Document, lock: str | None) -> Packages:
    """What an environment installs, and what is wrong with its requirements or its lock.

    Args:
        root: The repository's root.
        key: `name:version`.
        document: The environment.
        lock: Path of the lock, where there is one.
    """
    try:
        declared = _declared(root, document)
    except _Refused as error:
        return Packages(lock=lock, problems=error.problems)
    except InvalidRepository as error:
        return Packages(lock=lock, diagnostics=error.diagnostics)
    problem = _lock_problem(root, key, declared, document, lock)
    problems = (problem,) if problem else ()
    return Packages(declared.requirements, lock, problems, declared.conda_only)


def lock_input(root: Path, document: Document) -> LockInput:
    """All that the lock of an environment depends on.

    Raises:
        InvalidRepository: Its requirements cannot be used.
    """
    try:
        declared = _declared(root, document)
    except _Refused as error:
        where = Location(document.file)
        found = (Diagnostic(p.summary, p.detail, where, p.todo, p.command) for p in error.problems)
        raise InvalidRepository(*found) from error
    return _lock_input(declared, document.data)


def _lock_input(declared: _Declared, data: Data) -> LockInput:
    return LockInput(declared.requirements, declared.python, tuple(data.get("platforms", ())), server_requirements())


def _declared(root: Path, document: Document) -> _Declared:
    data = document.data
    python = data.get("python")
    if "conda_file" in data:
        named = data["conda_file"]
        file = document.file if not isinstance(named, str) else str(listing(document))
        conda = read_conda(_conda_document(root, document) if isinstance(named, str) else named, Location(file))
        return _Declared(conda.requirements, python or conda.python, conda.unmet)
    requirements = data.get("requirements", ())
    if isinstance(requirements, str):
        return _Declared(read_requirements(_text(root, document), Location(str(listing(document)), 1)), python)
    return _Declared(_inline(requirements), python)


def _inline(requirements: Sequence[str]) -> tuple[str, ...]:
    found: set[str] = set()
    problems: list[Problem] = []
    for index, line in enumerate(requirements):
        try:
            found.update(read_requirements(line))
        except InvalidRepository as error:
            problems.extend(Problem(("requirements", index), d.summary, d.detail, d.todo) for d in error.diagnostics)
    if problems:
        raise _Refused(*problems)
    return tuple(sorted(found))


def _conda_document(root: Path, document: Document) -> JSON:
    parsed = parse(_text(root, document))
    if parsed.problems:
        file = str(listing(document))
        raise InvalidRepository(
            *(Diagnostic(p.summary, p.detail, Location(file, p.line, p.column), p.todo) for p in parsed.problems)
        )
    return parsed.data


def _text(root: Path, document: Document) -> str:
    """The file that lists the packages; that it is there was looked at before."""
    file = str(listing(document))
    outcome = read_bounded(root / file)
    text = outcome if isinstance(outcome, TextProblem) else decode(outcome[0])
    if isinstance(text, TextProblem):
        where = Location(file, text.line, text.column)
        raise InvalidRepository(Diagnostic(text.summary, text.detail, where, text.todo, text.command))
    return text


def _edited(lock: str, text: str, command: str) -> Problem | None:
    stray = stray_line(text)
    if stray is None:
        return None
    number, line = stray
    detail = f'{lock}:{number}: "{line[:80]}" is no package with its hashes.'
    return Problem((), "Lock was edited", detail, "Take the edit back, or make the lock again:", command)


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
        return _edited(lock, text, command)
    detail = f"{lock} was made from other requirements, Python or platforms than {document.file} declares."
    todo = "Put back what was locked, or, if this version was never used, make the lock again:"
    return Problem((), "Lock is out of date", detail, todo, command)

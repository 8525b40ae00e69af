"""Which files a repository's documents are in: one walk over the three folders, and what must not be there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlops.errors import Diagnostic, Location
from mlops.resolve.repository import PROJECT_FILE
from mlops.schemas.kinds import DocumentKind
from mlops.schemas.names import NameKind, check_name, is_name

BASE_FILE = "endpoint.yaml"
TOMBSTONES_FILE = "tombstones.yaml"
_SUFFIX = ".yaml"
_OTHER_SUFFIXES = (".yml", ".YAML", ".YML")

_FOLDERS = {
    "models": (NameKind.MODEL, NameKind.VERSION, DocumentKind.MODEL),
    "environments": (NameKind.ENVIRONMENT, NameKind.VERSION, DocumentKind.ENVIRONMENT),
    "endpoints": (NameKind.ENDPOINT, NameKind.STAGE, DocumentKind.ENDPOINT),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A document's file.

    Attributes:
        file: Path relative to the repository.
        kind: What it should hold; of a stage file ENDPOINT, of endpoint.yaml BASE.
        name: Name of the model, environment or endpoint; empty for mlops.yaml.
        stem: The version or stage.
        stat: `os.lstat` of the file.
    """

    file: str
    kind: DocumentKind
    name: str
    stem: str
    stat: os.stat_result


@dataclass(slots=True)
class Walk:
    """What was found, and what is wrong with names and kinds of files."""

    entries: list[Entry] = field(default_factory=list)
    locks: set[str] = field(default_factory=set)
    problems: list[Diagnostic] = field(default_factory=list)

    def refuse(self, file: str, summary: str, detail: str, todo: str) -> None:
        """Remember a problem of a file as a whole."""
        self.problems.append(Diagnostic(summary, detail, Location(_printable(file)), todo))


def walk(root: Path) -> Walk:
    """Find every document below a repository's root, in the order of names."""
    found = Walk()
    try:
        status = os.lstat(root / PROJECT_FILE)
    except OSError:
        todo = "Write it, or make a repository that has one with mlops init."
        found.refuse(PROJECT_FILE, "No mlops.yaml", f"There is no {PROJECT_FILE} in the repository's root.", todo)
    else:
        if _is_file(found, PROJECT_FILE, status):
            found.entries.append(Entry(PROJECT_FILE, DocumentKind.PROJECT, "", "", status))
    for folder in _FOLDERS:
        if _is_folder(found, root, folder):
            for entry in _scan(found, str(root / folder), folder):
                _visit_top(found, folder, entry)
    return found


def _visit_top(found: Walk, folder: str, entry: os.DirEntry[str]) -> None:
    """One entry of models/, environments/ or endpoints/: the folder of one name."""
    path = f"{folder}/{entry.name}"
    status = _status(found, path, entry)
    if status is None:
        return
    if stat.S_ISLNK(status.st_mode):
        _refuse_link(found, path)
    elif stat.S_ISDIR(status.st_mode):
        kind, _, _ = _FOLDERS[folder]
        if not is_name(kind, entry.name):
            _refuse_name(found, path, kind, entry.name)
            return
        _visit_folder(found, folder, entry)
    elif _is_document(entry.name):
        example = f"{folder}/NAME/{BASE_FILE if folder == 'endpoints' else 'VERSION' + _SUFFIX}"
        found.refuse(path, "Document in the wrong folder", f"{path} belongs to no name.", f"Move it to {example}.")


def _visit_folder(found: Walk, folder: str, owner: os.DirEntry[str]) -> None:
    _, stem_kind, kind = _FOLDERS[folder]
    base = f"{folder}/{owner.name}"
    stages: list[str] = []
    has_base = False
    for entry in _scan(found, owner.path, base):
        path = f"{base}/{entry.name}"
        if not entry.name.endswith(_SUFFIX):
            _visit_other(found, folder, path, entry)
            continue
        status = _status(found, path, entry)
        if status is None or not _is_file(found, path, status):
            continue
        stem = entry.name[: -len(_SUFFIX)]
        if folder == "endpoints" and entry.name == BASE_FILE:
            found.entries.append(Entry(path, DocumentKind.BASE, owner.name, stem, status))
            has_base = True
        elif folder == "models" and entry.name == TOMBSTONES_FILE:
            found.entries.append(Entry(path, DocumentKind.TOMBSTONES, owner.name, stem, status))
        elif not is_name(stem_kind, stem):
            _refuse_name(found, path, stem_kind, stem)
        else:
            found.entries.append(Entry(path, kind, owner.name, stem, status))
            stages.append(path)
    if folder == "endpoints" and stages and not has_base:
        todo = f"Write {base}/{BASE_FILE} with what all stages share; it may be short."
        found.refuse(stages[0], "Stage file without endpoint.yaml", f"There is no {base}/{BASE_FILE}.", todo)


def _visit_other(found: Walk, folder: str, path: str, entry: os.DirEntry[str]) -> None:
    """An entry that is no document: a lock, an artifact, or a document with a suffix that nobody reads."""
    if entry.name.endswith(_OTHER_SUFFIXES) and not entry.is_dir(follow_symlinks=False):
        todo = f"Rename it to {path.rpartition('.')[0]}{_SUFFIX}."
        found.refuse(path, "Suffix is not .yaml", "Documents are read from files named *.yaml only.", todo)
    elif folder == "environments" and entry.name.endswith(".lock"):
        found.locks.add(path)


def _is_folder(found: Walk, root: Path, path: str) -> bool:
    """Whether there is a folder at a path; nothing there is no problem, anything else is."""
    try:
        status = os.lstat(root / path)
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(status.st_mode):
        _refuse_link(found, path)
        return False
    return True


def _scan(found: Walk, directory: str, path: str) -> Iterator[os.DirEntry[str]]:
    """Entries of a folder by name, without hidden ones; names that differ only in case are a problem."""
    try:
        with os.scandir(directory) as entries:
            ordered = sorted([e for e in entries if e.name[0] != "."], key=_name)
    except OSError as error:
        found.refuse(path, "Folder cannot be read", f"{error.strerror}.", "Mend its permissions, or what it is.")
        return
    seen: dict[str, str] = {}
    for entry in ordered:
        other = seen.setdefault(entry.name.casefold(), entry.name)
        if other != entry.name:
            detail = f"{entry.name} and {other} are one file on Windows and macOS."
            found.refuse(f"{path}/{entry.name}", "Names differ only in case", detail, "Rename one of them.")
        yield entry


def _status(found: Walk, path: str, entry: os.DirEntry[str]) -> os.stat_result | None:
    """The status of an entry itself; None where it is gone since the folder was read, or cannot be asked."""
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        found.refuse(path, "File cannot be read", f"{error.strerror}.", "Mend its permissions, or what it is.")
        return None


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_document(name: str) -> bool:
    return name.endswith((_SUFFIX, *_OTHER_SUFFIXES))


def _is_file(found: Walk, path: str, status: os.stat_result) -> bool:
    if stat.S_ISREG(status.st_mode):
        return True
    if stat.S_ISLNK(status.st_mode):
        _refuse_link(found, path)
    else:
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, a socket or a pipe"
        found.refuse(path, "Not a regular file", f"It is {what}.", "Put a file in its place, or remove it.")
    return False


def _refuse_link(found: Walk, path: str) -> None:
    todo = "Put the file or folder itself in its place."
    found.refuse(path, "Symbolic link", "A link may lead out of the repository, so links are not followed.", todo)


def _refuse_name(found: Walk, path: str, kind: NameKind, name: str) -> None:
    try:
        check_name(kind, name)
    except ValueError as error:
        found.refuse(path, "Invalid name", _printable(str(error)), "Rename it.")


def _printable(text: str) -> str:
    """A name as it can be shown: undecodable bytes and control characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)

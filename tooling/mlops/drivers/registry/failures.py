"""What can go wrong in the embedded registry, in one wording for all of its parts."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from mlops.errors import Diagnostic, Location, TargetError

REBUILD = "mlops model verify --rebuild"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class NewerFormat(TargetError):
    """Written by a later version of the toolkit: nothing is damaged, and nothing may be rebuilt."""


def absent(sha256: str) -> TargetError:
    """Content that nobody has put here."""
    return TargetError(
        Diagnostic(
            "Content is not in the registry",
            f"No blob has the digest {sha256}.",
            todo="Apply from a checkout that holds the file, or register the file again.",
            command="mlops model verify",
        )
    )


def damaged(sha256: str, path: Path) -> TargetError:
    """Content whose bytes changed after they were stored."""
    return TargetError(
        Diagnostic(
            "Content is damaged",
            f"The bytes of the blob {sha256} no longer have that digest.",
            Location(str(path)),
            "Set it aside and take the content in again from the repository.",
            REBUILD,
        )
    )


def not_as_declared(source: Path, declared: str, found: str) -> TargetError:
    """A file that is not the one which was declared."""
    return TargetError(
        Diagnostic(
            "File differs from its digest",
            f"Declared is {declared}, but its bytes have {found}.",
            Location(str(source)),
            "Restore the file that was declared, or register the new content as a new version.",
        )
    )


def disk_failed(error: OSError, path: Path) -> TargetError:
    """The operating system refused to read or to write."""
    where = Location(str(error.filename or path))
    if error.errno in _FULL:
        return TargetError(
            Diagnostic(
                "Disk is full",
                f"The registry could not write: {error.strerror}. What was registered before is intact.",
                where,
                "Free some space and run the command again.",
            )
        )
    return TargetError(
        Diagnostic(
            "Registry cannot reach a file",
            f"{error.strerror}.",
            where,
            "Check that the file exists and that you may read or write it.",
        )
    )


def index_failed(error: sqlite3.Error, path: Path) -> TargetError:
    """SQLite refused: by result code, since its messages are for programmers."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    where = Location(str(path))
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return busy(path)
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return TargetError(
                Diagnostic(
                    "Disk is full or failing",
                    f"The registry could not use its index: {error}. What was registered before is intact.",
                    where,
                    "Free some space and run the command again; if there is space, look at the disk.",
                )
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return TargetError(
                Diagnostic("Registry cannot be written", f"{error}.", where, "Check the permissions of its folder.")
            )
        case _:
            return index_damaged(path, str(error))


def busy(path: Path) -> TargetError:
    """Other processes did not let go of the index in time."""
    return TargetError(
        Diagnostic(
            "Registry is busy",
            "Another process is writing to the index.",
            Location(str(path)),
            "Run the command again when the other has finished.",
        )
    )


def newer_index(path: Path, found: int, known: int) -> NewerFormat:
    """An index that a later version of the toolkit wrote."""
    return NewerFormat(
        Diagnostic(
            "Registry index is of a newer format",
            f"Its format is {found}; this version of the toolkit knows {known}.",
            Location(str(path)),
            "Use the version of the toolkit that wrote it, or a later one.",
        )
    )


def index_damaged(path: Path, detail: str) -> TargetError:
    """The index is not what it was written as; content and Git are enough to make it again."""
    return TargetError(
        Diagnostic(
            "Registry index is damaged",
            f"{detail.rstrip('.').capitalize()}. The content itself is kept apart from the index.",
            Location(str(path)),
            "Rebuild the index from its journal, the stored content and Git.",
            REBUILD,
        )
    )


def spec_damaged(address: str) -> TargetError:
    """A version whose spec is no JSON any more."""
    return TargetError(
        Diagnostic(
            "Registry index is damaged",
            f"What it says about {address} cannot be read.",
            todo="Rebuild the index from its journal, the stored content and Git.",
            command=REBUILD,
        )
    )


def absent_artifact(address: str, what: str, sha256: str) -> TargetError:
    """Content of a version that is neither stored nor to be found where it is declared."""
    return TargetError(
        Diagnostic(
            "Content cannot be found",
            f"{address} needs {what} with the digest {sha256}, which is neither in the registry nor beside its YAML.",
            todo="Apply from a machine that has the file, or register the file here.",
        )
    )


def immutable(address: str) -> TargetError:
    """A registered version that was edited."""
    return TargetError(
        Diagnostic(
            "Version is immutable",
            f"{address} is registered with other content. Only its tags and description may change.",
            todo="Restore what its YAML said, and register the new content as a new version.",
        )
    )


def number_taken(address: str) -> TargetError:
    """A number that stood for something else once."""
    return TargetError(
        Diagnostic(
            "Version number was used before",
            f"{address} was registered with other content and deleted. Numbers are never used again.",
            todo="Register the content as the next version.",
        )
    )


def of_another_project(address: str, project: str) -> TargetError:
    """A version in a registry that several projects share."""
    return TargetError(
        Diagnostic(
            "Version belongs to another project",
            f"{address} is registered by the project {project}.",
            todo="Choose another name, or give this project a registry of its own in mlops.yaml.",
        )
    )


def index_disagrees(address: str, detail: str) -> Diagnostic:
    """A version about which the registry's parts say different things."""
    return Diagnostic(
        "Registry disagrees with itself",
        f"{address}: {detail}",
        todo="Rebuild the index from its journal, the stored content and Git.",
        command=REBUILD,
    )


def content_missing(address: str, what: str, sha256: str) -> Diagnostic:
    """A registered version of which bytes are gone."""
    return Diagnostic(
        "Content is missing",
        f"{address} needs {what} with the digest {sha256}, which is not in the registry.",
        todo="Take it in again from the repository.",
        command=REBUILD,
    )

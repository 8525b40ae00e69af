"""What a look at every byte of the registry came to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlops.reports.document import document
from mlops.reports.escape import plain
from mlops.reports.values import plural, size_text
from mlops.resource import JSON


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at, and what was made again before.

    Attributes:
        versions: How many versions the index holds.
        blobs: How many files of content were hashed.
        size: Their bytes.
        problems: How many problems there are.
        rebuilt: Whether the index was made again first.
        from_git: Addresses that only Git still knew.
        restored: Digests of content that was taken in again.
        set_aside: Where damaged files were moved to.
    """

    versions: int
    blobs: int
    size: int
    problems: int
    rebuilt: bool = False
    from_git: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()


def _lines(found: Checked) -> Iterator[str]:
    if found.rebuilt:
        yield "The index was made again."
    yield from (f"  from Git: {plain(address)}" for address in found.from_git)
    yield from (f"  taken in again: {plain(sha256)}" for sha256 in found.restored)
    yield from (f"  set aside: {plain(path)}" for path in found.set_aside)
    outcome = f"{plural(found.problems, 'problem')}" if found.problems else "all as registered"
    versions, blobs = plural(found.versions, "version"), plural(found.blobs, "file")
    yield f"{versions}, {blobs} of content ({size_text(found.size)}) hashed: {outcome}."


def render_verification(found: Checked) -> str:
    """What was made again, and one line on what was looked at."""
    return "\n".join(_lines(found)) + "\n"


def render_verification_json(found: Checked) -> str:
    """All counts."""
    body: dict[str, JSON] = {
        "versions": found.versions,
        "blobs": found.blobs,
        "bytes": found.size,
        "problems": found.problems,
        "rebuilt": found.rebuilt,
        "from_git": list(found.from_git),
        "restored": list(found.restored),
        "set_aside": list(found.set_aside),
    }
    return document("verification", body)

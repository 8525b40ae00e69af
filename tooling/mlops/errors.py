"""What can go wrong, how it is said, and the exit code that says it to a script.

```
MlopsError                    the user's to mend; everything else is a bug and keeps its traceback
├── InvalidRepository         files that cannot be used as they are
├── InvalidPlan               a plan file that cannot be read
├── StalePlan                 what the plan was based on has moved
├── Blocked                   a rule, a protection or a fuse forbids it
├── Waiting                   something must exist, or time must pass, first
├── Locked                    somebody else is applying
├── TargetError               a registry or a compute refused or failed
├── NotFound                  a name that nothing answers to
└── Interrupted               stopped on request
```
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """Exit codes: one table for every command.

    Where several hold, the first in `PRECEDENCE` decides.
    """

    DONE = 0
    FAILED = 1
    CHANGES = 2
    DRIFT = 3
    STALE = 4
    BLOCKED = 5
    WAITING = 6
    LOCKED = 7
    PARTIAL = 8
    USAGE = 64
    INTERRUPTED = 130


PRECEDENCE: tuple[Exit, ...] = (
    Exit.INTERRUPTED,
    Exit.USAGE,
    Exit.FAILED,
    Exit.PARTIAL,
    Exit.LOCKED,
    Exit.STALE,
    Exit.BLOCKED,
    Exit.WAITING,
    Exit.DRIFT,
    Exit.CHANGES,
    Exit.DONE,
)


def worst(codes: Iterable[Exit]) -> Exit:
    """The one exit code that several outcomes give together."""
    return min(codes, key=PRECEDENCE.index, default=Exit.DONE)


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file; line and column count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Write it as compilers do: file:line:column."""
        parts = [self.file]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem, as a person meets it.

    Attributes:
        summary: Short and constant, so that it can be recognised and searched for.
        detail: What is wrong here, in sentences, with the names and values.
        where: The place to look at, if there is one.
        todo: What to do about it.
        command: A command to copy, if one mends it.
    """

    summary: str
    detail: str = ""
    where: Location | None = None
    todo: str = ""
    command: str = ""


class MlopsError(Exception):
    """An error that is the user's to mend; carries every problem that was found."""

    exit_code: ClassVar[Exit] = Exit.FAILED

    def __init__(self, *diagnostics: Diagnostic) -> None:
        """Keep the problems in the order given.

        Args:
            diagnostics: At least one problem.
        """
        super().__init__("; ".join(f"{d.summary}: {d.detail}" if d.detail else d.summary for d in diagnostics))
        self.diagnostics = diagnostics


def with_remedy(error: MlopsError) -> str:
    """An error in one paragraph, with what to do: where there is no room for more than a reason."""
    return "; ".join(_paragraph(d) for d in error.diagnostics)


def _paragraph(diagnostic: Diagnostic) -> str:
    what = f"{diagnostic.summary}: {diagnostic.detail}" if diagnostic.detail else diagnostic.summary
    command = f"`{diagnostic.command}`" if diagnostic.command else ""
    return " ".join(filter(None, (what, diagnostic.todo, command)))


class InvalidRepository(MlopsError):
    """Files of the repository cannot be used as they are."""


class InvalidPlan(MlopsError):
    """A plan file is of another version, damaged, or was edited."""


class StalePlan(MlopsError):
    """Git, the ledger or a live object moved since the plan was made."""

    exit_code = Exit.STALE


class Blocked(MlopsError):
    """A rule, a protection, a gate or the fuse against mass deletion forbids it."""

    exit_code = Exit.BLOCKED


class Waiting(MlopsError):
    """Something must exist first, or a soak is not over."""

    exit_code = Exit.WAITING


class Locked(MlopsError):
    """Somebody else holds the lock of the stage."""

    exit_code = Exit.LOCKED


class TargetError(MlopsError):
    """A registry or a compute refused, failed or could not be reached."""


class NotFound(MlopsError):
    """A name that nothing answers to."""


class Interrupted(MlopsError):
    """The user asked to stop."""

    exit_code = Exit.INTERRUPTED


def did_you_mean(name: str, candidates: Sequence[str]) -> str:
    """A sentence naming the closest candidate, or an empty string where none is close."""
    close = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return f'Did you mean "{close[0]}"?' if close else ""

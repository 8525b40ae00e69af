"""What can be wrong with a ledger, said the same way everywhere."""

from __future__ import annotations

from mlops.errors import Diagnostic, MlopsError
from mlops.ledger.fields import Malformed
from mlops.ledger.record_json import Newer


class CorruptLedger(MlopsError):
    """A ledger's branch does not hold what a ledger holds. Nothing is written to it, or on its account."""


def foreign(branch: str, why: str) -> CorruptLedger:
    """A branch has the name of a ledger and is none, or is damaged."""
    return CorruptLedger(
        Diagnostic(
            "Not a ledger",
            f"The branch {branch} is not a ledger that can be used: {why}.",
            todo="Look at it. If it is something else, rename it; if it was damaged, restore it from another clone.",
            command=f"git log -3 --stat {branch}",
        )
    )


def unreadable(branch: str, commit: str, problem: Malformed) -> CorruptLedger:
    """A record or a state cannot be read."""
    if isinstance(problem, Newer):
        return CorruptLedger(
            Diagnostic(
                "The ledger is newer than this mlops",
                f"{commit[:12]} on {branch}: {problem}.",
                todo="Update mlops in this environment; an older one must not write after a newer one.",
            )
        )
    return foreign(branch, f"in {commit[:12]}, {problem}")


def other_project(branch: str, found: str, expected: str) -> CorruptLedger:
    """The ledger belongs to another project."""
    return CorruptLedger(
        Diagnostic(
            "The ledger belongs to another project",
            f'The branch {branch} is the ledger of project "{found}"; this repository is project "{expected}".',
            todo="Check `project` in mlops.yaml and the remote of the ledger. A project's id cannot change.",
        )
    )

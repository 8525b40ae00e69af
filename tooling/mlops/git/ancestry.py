"""Whether one commit contains another, also where a clone holds only part of the history."""

from __future__ import annotations

from mlops.errors import Blocked, Diagnostic, MlopsError
from mlops.git.command import GitCommand
from mlops.git.remote import fetch

_DEEPER = ("--deepen=100", "--deepen=1000", "--unshallow")


def is_ancestor(command: GitCommand, old: str, new: str, remote: str | None) -> bool:
    """Whether `old` is `new` or one of its ancestors; a shallow clone is deepened until that is sure.

    Args:
        command: Runs in the repository.
        old: Full id of a commit.
        new: Full id of a commit.
        remote: Where to deepen from; None: nowhere.

    Raises:
        Blocked: The history that is here does not tell.
    """
    if old == new:
        return True
    for deeper in (None, *_DEEPER):
        if deeper is not None and not _deepened(command, remote, new, deeper):
            break
        answer = command.must(("merge-base", "--is-ancestor", old, new), allowed=(0, 1, 128))
        if answer.code == 0:
            return True
        if not _is_shallow(command):
            if answer.code == 1:
                return False
            break
    raise Blocked(
        Diagnostic(
            "Ancestry is not known",
            f"The history in this clone does not tell whether {new[:12]} contains {old[:12]}, which was applied last.",
            todo="Fetch the whole history of the branch; if it was rewritten, bring the applied commit back into it.",
            command="git fetch --unshallow" if _is_shallow(command) else "git fetch --all",
        )
    )


def _is_shallow(command: GitCommand) -> bool:
    return command.must(("rev-parse", "--is-shallow-repository")).text == "true"


def _deepened(command: GitCommand, remote: str | None, tip: str, option: str) -> bool:
    """Fetch more history of `tip`; False where that is not possible or there is no more."""
    if remote is None or not _is_shallow(command):
        return False
    for refspecs in ((tip,), ()):
        try:
            fetch(command, remote, refspecs, (option,))
        except MlopsError:
            continue
        return True
    return False

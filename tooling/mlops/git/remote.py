"""Fetching from a remote, and moving its refs by compare-and-swap."""

from __future__ import annotations

from collections.abc import Sequence

from mlops.errors import Diagnostic, MlopsError
from mlops.git.command import REMOTE_TIMEOUT, Answer, GitCommand, TimedOut
from mlops.git.contention import PATIENCE, Contention
from mlops.git.refs import RefUpdate

_LOST = ("stale info", "cannot lock ref", "failed to update ref", "incorrect old value", "reference already exists")
_FOLLOWERS = ("atomic push failed", "atomic transaction failed")
"""What Git says about refs that were not moved only because another one was not."""


class Unreachable(MlopsError):
    """A remote did not answer, or would not let us in."""


class RemoteRefused(MlopsError):
    """A remote answered and would not take what was pushed."""


class Diverged(MlopsError):
    """A branch that only ever grows was rewritten on the remote."""


def fetch(
    command: GitCommand,
    remote: str,
    refspecs: Sequence[str],
    options: Sequence[str] = (),
    *,
    patience: float = PATIENCE,
) -> None:
    """Fetch refs; those that the remote lacks are no error when the refspec is a pattern.

    Args:
        command: Runs in the repository.
        remote: The remote's name.
        refspecs: What to fetch, and into which refs.
        options: More options of git-fetch.
        patience: Seconds to wait for other processes that fetch into the same refs.

    Raises:
        Unreachable: The remote does not answer, or does not let us in.
        Diverged: A refspec without "+" would move a ref to something that does not contain it.
    """
    arguments = ("fetch", "--no-progress", "--no-tags", "--no-prune", "--no-write-fetch-head", *options, "--", remote)
    contention = Contention(patience)
    while True:
        try:
            answer = command.run((*arguments, *refspecs), timeout=REMOTE_TIMEOUT)
        except TimedOut as error:
            raise _unreachable(remote, error.diagnostics[0].detail) from error
        if answer.code == 0:
            return
        if not contention.wait(answer.messages, moved=True):
            break
    if "non-fast-forward" in answer.messages:
        raise Diverged(
            Diagnostic(
                "History was rewritten on the remote",
                f"A branch of {remote} that only ever grows no longer contains what was fetched from it before: "
                f"{answer.messages}",
                todo="Find out who rewrote it, and restore it from a clone that has the whole history.",
            )
        )
    raise _unreachable(remote, answer.messages)


def push(command: GitCommand, remote: str, updates: Sequence[RefUpdate], *, timeout: float = REMOTE_TIMEOUT) -> bool:
    """Move all refs of a remote, or none.

    Args:
        command: Runs in the repository.
        remote: The remote's name.
        updates: What to move.
        timeout: Seconds after which it is given up.

    Returns:
        False where one of them was not where it was expected: somebody else was faster.

    Raises:
        Unreachable: The remote does not answer; whether the refs moved is found by fetching.
        RemoteRefused: A hook, a protection or a permission of the remote forbids it. Nothing moved.
    """
    leases = [f"--force-with-lease={update.name}:{update.old or ''}" for update in updates]
    refspecs = [f"{update.new}:{update.name}" for update in updates]
    atomic = ["--atomic"] if len(updates) > 1 else []
    arguments = ("push", "--porcelain", "--no-verify", *atomic, *leases, "--", remote, *refspecs)
    try:
        answer = command.run(arguments, timeout=timeout)
    except TimedOut as error:
        raise _unreachable(remote, error.diagnostics[0].detail) from error
    if answer.code == 0:
        return True
    rejections = _rejections(answer)
    if not rejections:
        raise _unreachable(remote, answer.messages)
    decisive = [reason for reason in rejections if not any(sign in reason for sign in _FOLLOWERS)]
    if any(sign in reason for reason in decisive for sign in _LOST):
        return False
    raise _refused(remote, decisive or rejections, answer)


def _rejections(answer: Answer) -> list[str]:
    """The third column of porcelain lines that begin with "!"."""
    lines = answer.output.decode("utf-8", "replace").splitlines()
    return [line.split("\t")[2] for line in lines if line.startswith("!\t") and line.count("\t") >= 2]


def _refused(remote: str, reasons: Sequence[str], answer: Answer) -> RemoteRefused:
    said = [
        line.removeprefix("remote: ").strip() for line in answer.messages.splitlines() if line.startswith("remote: ")
    ]
    detail = "; ".join((*dict.fromkeys(reasons), *(line for line in said if line)))
    return RemoteRefused(
        Diagnostic(
            "The remote refused the ledger",
            f"{remote} did not take the new record: {detail}",
            todo="Let this user push to branches ledger/* and to refs/mlops/*; the branches only ever grow.",
        )
    )


def _unreachable(remote: str, said: str) -> Unreachable:
    return Unreachable(
        Diagnostic(
            "The remote cannot be reached",
            f"{remote} did not answer: {said}",
            todo="Check the network, the address and the credentials; nothing was changed.",
            command=f"git ls-remote {remote}",
        )
    )

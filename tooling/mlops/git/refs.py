"""Moving refs by compare-and-swap, durably."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops.git.command import GitCommand, failed
from mlops.git.contention import PATIENCE, Contention

_LOST = ("but expected", "reference already exists", "unable to resolve reference", "reference is missing")


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One ref that is to move.

    Attributes:
        name: Its full name.
        new: The object it shall point to.
        old: The object it must point to now; None: it must not exist.
    """

    name: str
    new: str
    old: str | None


def update_refs(
    command: GitCommand, common_directory: Path, updates: Sequence[RefUpdate], patience: float = PATIENCE
) -> bool:
    """Move all refs, or none; durable when it returns.

    Args:
        command: Runs in the repository.
        common_directory: The Git folder that holds the refs.
        updates: What to move.
        patience: Seconds to wait for a lock file of Git that stays.

    Returns:
        False where one of them was not where it was expected: somebody else was faster.

    Raises:
        MlopsError: The repository cannot be written, or a lock file of Git stays.
    """
    lines = [f"create {u.name} {u.new}\n" if u.old is None else f"update {u.name} {u.new} {u.old}\n" for u in updates]
    contention = Contention(patience)
    while True:
        answer = command.run(("update-ref", "--stdin"), "".join(lines).encode())
        if answer.code == 0:
            for folder in {(common_directory / update.name).parent for update in updates}:
                flush_folder(folder)
            return True
        if any(sign in answer.messages for sign in _LOST):
            return False
        if not contention.wait(answer.messages):
            raise failed(("update-ref",), answer, command.directory)


def flush_folder(folder: Path) -> None:
    """Make renames in a folder durable, where there is such a folder and the system can do it.

    Git flushes the content of what it writes, not the folder that holds its name.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

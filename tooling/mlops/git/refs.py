"""Moving refs by compare-and-swap, durably."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import Diagnostic, MlopsError
from mlops.git.command import GitCommand, failed

_LOST = ("but expected", "reference already exists", "unable to resolve reference", "reference is missing")
_BUSY = re.compile(r"Unable to create '(?P<path>[^']+\.lock)': File exists")
_PATIENCE = 5.0
"""Seconds for which a lock file of Git that does not change is waited for."""
_ABANDONED = 30.0
"""Seconds of age after which a lock file that did not change while we waited was left by a killed process: Git holds
one for milliseconds."""


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
    command: GitCommand, common_directory: Path, updates: Sequence[RefUpdate], patience: float = _PATIENCE
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
    give_up = time.monotonic() + patience
    while True:
        answer = command.run(("update-ref", "--stdin"), "".join(lines).encode())
        if answer.code == 0:
            for folder in {(common_directory / update.name).parent for update in updates}:
                flush_folder(folder)
            return True
        if any(sign in answer.messages for sign in _LOST):
            return False
        busy = _BUSY.search(answer.messages)
        if busy is None:
            raise failed(("update-ref",), answer, command.directory)
        if time.monotonic() > give_up and not _clear(Path(busy["path"]), common_directory):
            raise MlopsError(_stays(Path(busy["path"])))
        time.sleep(0.02)


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


def _clear(lock: Path, common_directory: Path) -> bool:
    """Remove a lock file that a killed process left behind; False where it may still be in use."""
    try:
        inside = lock.resolve().is_relative_to(common_directory.resolve())
        if not inside or time.time() - lock.stat().st_mtime < _ABANDONED:
            return False
        lock.unlink()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _stays(lock: Path) -> Diagnostic:
    return Diagnostic(
        "A lock file of Git stays",
        f"{lock} has been there for a while; another Git process holds it, or was killed.",
        todo="If no Git process runs in this repository, remove the file.",
        command=f"rm {lock}",
    )

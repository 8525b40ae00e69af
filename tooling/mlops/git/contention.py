"""Other Git processes in the way: wait for those that live, clear up after those that were killed."""

from __future__ import annotations

import re
import time
from pathlib import Path

from mlops.errors import Diagnostic, MlopsError

PATIENCE = 5.0
"""Seconds for which another Git process is waited for."""

_ABANDONED = 30.0
"""Seconds of age after which a lock file that did not change while we waited was left by a killed process: Git holds
one for milliseconds."""

_LOCK_FILE = re.compile(r"Unable to create '(?P<path>[^']+/(?:refs/[^']+|packed-refs|shallow)\.lock)': File exists")
_MOVED = re.compile(r"cannot lock ref '[^']+': (?:is at|reference already exists|unable to resolve)")
_PAUSE = 0.02


class Contention:
    """One command that other Git processes may get in the way of.

    Args:
        patience: Seconds to wait in all.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        """Begin to count."""
        self._give_up = time.monotonic() + patience

    def wait(self, messages: str, *, moved: bool = False) -> bool:
        """Wait a moment when Git says that somebody else is in the way.

        Args:
            messages: What Git said.
            moved: Whether a ref that somebody else moved meanwhile is worth another try.

        Returns:
            Whether to try again.

        Raises:
            MlopsError: A lock file stays that may still be in use.
        """
        late = time.monotonic() > self._give_up
        found = _LOCK_FILE.search(messages)
        if found is not None:
            if late and not _clear(Path(found["path"])):
                raise MlopsError(_stays(Path(found["path"])))
        elif late or not moved or _MOVED.search(messages) is None:
            return False
        time.sleep(_PAUSE)
        return True


def _clear(lock: Path) -> bool:
    """Remove a lock file that a killed process left behind; False where it may still be in use."""
    try:
        if time.time() - lock.stat().st_mtime < _ABANDONED:
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

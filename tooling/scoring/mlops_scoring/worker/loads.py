"""How much each of several workers has to do, in memory that they share, so that a client comes to the idlest."""

from __future__ import annotations

import mmap
from pathlib import Path

_ABSENT = 2**32 - 1


def make_loads(path: Path, workers: int) -> None:
    """Make the file that the workers share; none of them is there yet."""
    path.write_bytes(_ABSENT.to_bytes(4, "little") * workers + bytes(4 * workers))


class Loads:
    """The loads of all workers, seen by one of them, and how many connections they have taken.

    Args:
        path: The file that they share.
        number: Which worker this one is, from 0.
    """

    def __init__(self, path: Path, number: int) -> None:
        """Open the file; nothing is written yet."""
        with path.open("r+b") as file:
            whole = memoryview(mmap.mmap(file.fileno(), 0)).cast("I")
        workers = len(whole) // 2
        self._loads, self._taken = whole[:workers], whole[workers:]
        self._number = number

    def tell(self, load: int) -> None:
        """Say how much this worker has to do."""
        self._loads[self._number] = load

    def leave(self) -> None:
        """This worker takes nothing any more."""
        self._loads[self._number] = _ABSENT

    def take(self) -> None:
        """This worker has taken a connection."""
        self._taken[self._number] = (self._taken[self._number] + 1) & _ABSENT

    @property
    def least(self) -> int:
        """What the worker has to do that has the least to do."""
        return min(self._loads)

    @property
    def taken_by_others(self) -> int:
        """A number that changes when another worker has taken a connection."""
        return sum(self._taken) - self._taken[self._number]

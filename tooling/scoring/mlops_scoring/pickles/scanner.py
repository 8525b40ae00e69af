"""The pickle machine with stand-ins for every name: collects the names, and runs nothing."""

from __future__ import annotations

import pickle
from typing import IO, Any

from mlops_scoring.pickles.machine import LONGEST, Bounded, Machine
from mlops_scoring.pickles.policy import resolvable
from mlops_scoring.pickles.standins import WRAPPER, StandIn, stand_in


class Skipping(Bounded):
    """A file whose long texts are passed over: no name is so long, and a scan should need little memory."""

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes; none where nobody will look at them."""
        if size > LONGEST:
            self.skip(size)
            return b""
        return super().read(size)


class Lazy(Skipping):
    """A stream whose end is not known, because finding it would mean to expand all of it."""

    def __init__(self, file: IO[bytes]) -> None:
        """Believe in no end."""
        self._file = file

    def _check(self, size: int) -> None:
        """Let reading find out."""

    def skip(self, size: int) -> None:
        """Read and drop."""
        while size:
            passed = len(self._file.read(min(size, LONGEST)))
            if not passed:
                raise EOFError
            size -= passed

    @property
    def rest(self) -> int:
        """More than anything has."""
        return 1 << 62


class Scanner(Machine):
    """Collects the names that a pickle would import.

    Args:
        source: The stream.
        names: Where names are put.
        archived: It is a member of an archive, as PyTorch writes them: persistent ids stand for tensors.
        nested: It stands where an array's bytes would. joblib leaves it to `pickle.load`, which knows no such arrays.
    """

    def __init__(self, source: Bounded, names: set[str], *, archived: bool = False, nested: bool = False) -> None:
        """Stand at the beginning of the stream."""
        super().__init__(source)
        self._names = names
        self._archived = archived
        self._nested = nested

    def find_class(self, module: str, name: str) -> type[Any]:
        """Note a name; give a stand-in."""
        if not resolvable(module, name):
            raise pickle.UnpicklingError(f"the name {module}.{name}"[:200])
        full = f"{module}.{name}"
        self._names.add(full)
        if self._nested and full == WRAPPER:
            raise pickle.UnpicklingError("an array whose bytes follow, within an array of objects")
        return stand_in(full, name)

    def persistent_load(self, pid: object) -> object:
        """Tensors in PyTorch's archives; nothing else has them."""
        if not self._archived:
            raise pickle.UnpicklingError("a persistent id")
        return StandIn(pid)

    def nested(self) -> Scanner:
        """A scanner for a pickle inside this one."""
        return Scanner(self.source, self._names, nested=True)

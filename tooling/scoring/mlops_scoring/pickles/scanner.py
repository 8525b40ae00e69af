"""The pickle machine with stand-ins for every name: collects the names, and runs nothing."""

from __future__ import annotations

import pickle
from typing import IO, Any

from mlops_scoring.pickles.machine import LONGEST, Bounded, Machine
from mlops_scoring.pickles.policy import resolvable
from mlops_scoring.pickles.standins import StandIn, stand_in


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
        joblib: Bytes of arrays stand in the stream. `pickle.load` would take them for opcodes.

    Attributes:
        calls: Grows with each call that the pickle would make.
    """

    def __init__(self, source: Bounded, names: set[str], *, archived: bool = False, joblib: bool = True) -> None:
        """Stand at the beginning of the stream."""
        super().__init__(source)
        self.calls: list[object] = []
        self._names = names
        self._archived = archived
        self._joblib = joblib

    def find_class(self, module: str, name: str) -> type[Any]:
        """Note a name; give a stand-in."""
        if not resolvable(module, name):
            raise pickle.UnpicklingError(f"the name {module}.{name}"[:200])
        full = f"{module}.{name}"
        self._names.add(full)
        return stand_in(full, name, self.calls, joblib=self._joblib)

    def persistent_load(self, pid: object) -> object:
        """Tensors in PyTorch's archives; nothing else has them."""
        if not self._archived:
            raise pickle.UnpicklingError("a persistent id")
        return StandIn(pid)

    def nested(self) -> Scanner:
        """A scanner for a pickle inside this one."""
        return Scanner(self.source, self._names)


def acts(source: Bounded, *, marked: bool) -> bool:
    """Whether the beginning of a stream, unpickled, would run something.

    A pickle of protocol 0 or 1 has no mark, and `pickle.load` runs each step before it looks at the next, so that even
    what does not end as a pickle may have run.

    Args:
        source: Read from its current place.
        marked: It has a pickle's mark; then a mere import counts too. Plain lists of words may look like imports.
    """
    names: set[str] = set()
    scanner = Scanner(source, names, archived=True)
    try:
        scanner.load()
    except Exception:  # noqa: BLE001 - whatever stops it, what counts is what was run before
        return bool(scanner.calls or scanner.refused_frame or (marked and names))
    return bool(names)

"""The pickle machine, in pure Python, with the arrays that joblib writes between the opcodes.

joblib pickles an array as a small `NumpyArrayWrapper` object and puts the raw bytes right behind it in the stream,
where no opcode walker expects them. The machine asks each wrapper that has been built to read its bytes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import IO, Any, ClassVar, Protocol

LONGEST = 1 << 20
"""Bytes of the largest frame, and of the longest text in which a name is looked for. Picklers write 64 KiB."""

_LONGEST_NUMBER = 4096

Pure: type[Any] = pickle._Unpickler  # noqa: SLF001 - joblib builds on it too


class Reads(Protocol):
    """What a wrapper's bytes are read from."""

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes."""


class InlineArray:
    """Something whose bytes follow it in the stream."""

    def read_inline(self, machine: Machine) -> object:
        """Read the bytes; returns what takes the wrapper's place."""
        raise TypeError(type(self), machine)


class Bounded:
    """A file that refuses to be read beyond its end, so that a length in the stream cannot make us allocate."""

    def __init__(self, file: IO[bytes]) -> None:
        """Find out where the file ends."""
        self._file = file
        place = file.tell()
        self._end = file.seek(0, 2)
        file.seek(place)

    def _check(self, size: int) -> None:
        if size > self._end - self._file.tell():
            raise pickle.UnpicklingError("the file ends too early")

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, or the rest."""
        self._check(size)
        return self._file.read(size)

    def readline(self) -> bytes:
        """One line."""
        return self._file.readline()

    def cut_line(self, limit: int) -> bytes:
        """One line, without its middle where it is longer than this; empty where the file ends before the line does."""
        line = last = self._file.readline(limit)
        while last and not last.endswith(b"\n"):
            last = self._file.readline(LONGEST)
        return line.removesuffix(b"\n") + b"\n" if last else b""

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - any writable buffer
        """Fill a buffer."""
        self._check(len(buffer))
        return self._file.readinto(buffer)  # type: ignore[attr-defined,no-any-return] # every file we open has it

    def skip(self, size: int) -> None:
        """Pass over bytes that nobody needs."""
        self._check(size)
        self._file.seek(size, 1)

    @property
    def place(self) -> int:
        """Bytes that have been read since the file's beginning."""
        return self._file.tell()

    @property
    def rest(self) -> int:
        """Bytes until the end."""
        return self._end - self._file.tell()


class Machine(Pure):  # type: ignore[misc] # typed as Any above
    """Runs a pickle with names resolved by `find_class` of a subclass.

    Python's own machine, in C, does not look at the ends of frames, and this one does: where that would make a
    difference, the file is refused.

    Args:
        source: The stream.
    """

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(Pure.dispatch)

    def __init__(self, source: Bounded) -> None:
        """Stand at the beginning of the stream."""
        super().__init__(source)
        self.source = source

    def load_frame(self) -> None:
        """Refuse frames of a size that nobody writes: they are read into memory at once."""
        size = int.from_bytes(self.read(8), "little")
        if size > LONGEST:
            raise pickle.UnpicklingError("a frame of more than 1 MiB")
        self._unframer.load_frame(size)

    def load_build(self) -> None:
        """Set an object's state; an array's bytes follow."""
        Pure.load_build(self)
        if isinstance(self.stack[-1], InlineArray):
            self._end_frame()
            self.stack[-1] = self.stack[-1].read_inline(self)

    def load_stop(self) -> None:
        """End; what stands behind begins where the machine in C would begin."""
        self._end_frame()
        Pure.load_stop(self)

    def load_long4(self) -> None:
        """Refuse numbers of a length that nobody writes; a scan passes over what is long, and would take another."""
        size = int.from_bytes(self.read(4), "little")
        if size > _LONGEST_NUMBER:
            raise pickle.UnpicklingError("a number of more than 4 KiB")
        self.append(pickle.decode_long(self.read(size)))

    def _end_frame(self) -> None:
        frame = self._unframer.current_frame
        if frame is not None and frame.read(1):
            raise pickle.UnpicklingError("a frame that ends too late")

    def load_bytearray8(self) -> None:
        """Read first: the standard library takes the memory first, and believes any length."""
        size = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(size)))

    def nested(self) -> Machine:
        """A machine for a pickle that stands in the stream where an array's bytes would."""
        return type(self)(self.source)

    def get_extension(self, code: int) -> None:
        """Refuse codes for names that a process has registered."""
        raise pickle.UnpicklingError(f"extension code {code}")

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.FRAME[0]] = load_frame
    dispatch[pickle.STOP[0]] = load_stop
    dispatch[pickle.LONG4[0]] = load_long4
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def read_padding(machine: Machine) -> None:
    """Pass over the bytes that align an array; the first says how many they are."""
    (size,) = machine.source.read(1)
    machine.source.read(size)

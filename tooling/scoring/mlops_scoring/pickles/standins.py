"""Inert stand-ins: what takes the place of a class or function while a pickle is looked at.

Most take whatever a pickle does to them. A few names, though allowed, do harm when they are given the wrong arguments:
NumPy believes the state of a type, and a type of objects that says it holds none makes any number a pointer.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Mapping
from typing import Any, Self

from mlops_scoring.pickles.machine import InlineArray, Machine, read_padding

WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
"""What joblib writes before the bytes of an array."""

_TYPE_CODE = re.compile(r"[<>=|]?(?:b1|[iu][1248]|f(?:2|4|8|12|16)|c(?:8|16|24|32)|[mM]8|O[48]?|[SUV][0-9]{0,8})")
_FLEXIBLE = "SUV"
_REFERENCES = 0x3  # NPY_ITEM_REFCOUNT and NPY_LIST_PICKLE of numpy/ndarraytypes.h
_OBJECT_FLAGS = 0x3F  # NPY_OBJECT_DTYPE_FLAGS of the same
_LATIN = frozenset({"latin1", "latin-1"})
_ALIGNMENT = "numpy_array_alignment_bytes"  # since joblib 1.2
_ALWAYS = frozenset({"subclass", "shape", "order", "dtype", "allow_mmap"})
_SOMETIMES = frozenset({_ALIGNMENT})


class StandIn:
    """Takes the place of any class or function; takes whatever a pickle does to it, and does nothing."""

    arguments: tuple[object, ...] = ()
    state: object = None

    def __new__(cls, *arguments: object, **named: object) -> Self:
        """Remember the arguments, however the call is made: some opcodes call `__new__` alone."""
        made = super().__new__(cls)
        made.arguments = arguments
        made.check(named)
        return made

    def __init__(self, *arguments: object, **named: object) -> None:
        """Take any arguments."""

    def check(self, named: Mapping[str, object]) -> None:
        """Look at the arguments; refuse some, perhaps."""

    def __setstate__(self, state: object) -> None:
        """Keep the state."""
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        """Take an item, as a dictionary would."""

    def append(self, value: object) -> None:
        """Take an item, as a list would."""

    def extend(self, values: object) -> None:
        """Take items, as a list would."""

    def add(self, value: object) -> None:
        """Take an item, as a set would."""


class NumpyType(StandIn):
    """`numpy.dtype`.

    Attributes:
        size: Bytes of an item; None for references to objects.
    """

    size: int | None = 0

    def check(self, named: Mapping[str, object]) -> None:
        """Read the type code."""
        code = self.arguments[0] if self.arguments else None
        if named or not isinstance(code, str) or not _TYPE_CODE.fullmatch(code):
            raise pickle.UnpicklingError("an array of a type that cannot be checked")
        self._kind, digits = code.lstrip("<>=|")[0], int(code.lstrip("<>=|")[1:] or 0)
        self.size = None if self._kind == "O" else digits * 4 if self._kind == "U" else digits

    def __setstate__(self, state: object) -> None:
        """Compare the state with the code; NumPy does not."""
        super().__setstate__(state)
        if not isinstance(state, tuple) or len(state) not in {8, 9} or not isinstance(state[7], int):
            raise pickle.UnpicklingError("an array of a type that cannot be checked")
        _, _, base, names, fields, size, _, flags = state[:8]
        if size != (self.size if self._kind in _FLEXIBLE else -1):
            raise pickle.UnpicklingError("an array whose type contradicts itself")
        honest = flags == _OBJECT_FLAGS if self._kind == "O" else not flags & _REFERENCES
        if not honest or (self._kind != "V" and (base, names, fields) != (None, None, None)):
            raise pickle.UnpicklingError("an array whose type contradicts itself")
        self._check_parts(base, names, fields)

    def _check_parts(self, base: object, names: object, fields: object) -> None:
        if base is not None:
            match base:
                case (NumpyType(size=int(each)), tuple(shape)) if all(type(length) is int for length in shape):
                    if fields is None and min(shape, default=0) >= 0 and each * math.prod(shape) == self.size:
                        return
            raise pickle.UnpicklingError("an array of a type that cannot be checked")
        if fields is None and names is None:
            return
        if not isinstance(fields, dict) or not isinstance(names, tuple) or sorted(fields) != sorted(names):
            raise pickle.UnpicklingError("an array of records whose fields cannot be checked")
        for field in fields.values():
            match field:
                case (NumpyType(size=int(width)), int(offset)) if 0 <= offset <= (self.size or 0) - width:
                    continue
            raise pickle.UnpicklingError("an array of records with objects in them, or with fields beyond their end")


class NeverCalled(StandIn):
    """`numpy.ndarray`: an argument of other calls. Called itself it takes any memory for its own."""

    def check(self, named: Mapping[str, object]) -> None:
        """Refuse."""
        del named
        raise pickle.UnpicklingError(f"a call of {type(self).__name__}")


class LatinText(StandIn):
    """`_codecs.encode`: bytes are written so in old protocols, and only so."""

    def check(self, named: Mapping[str, object]) -> None:
        """Refuse other encodings, which may be modules of Python's."""
        if named or len(self.arguments) != 2 or self.arguments[1] not in _LATIN:
            raise pickle.UnpicklingError("text in an encoding that pickles do not use")


class Sized(StandIn):
    """`bytes` and `bytearray`: a number as argument takes that much memory."""

    def check(self, named: Mapping[str, object]) -> None:
        """Refuse a number."""
        if any(isinstance(argument, int) for argument in (*self.arguments, *named.values())):
            raise pickle.UnpicklingError("an empty buffer of a given size")


class Array(StandIn, InlineArray):
    """joblib's `NumpyArrayWrapper`: knows how many bytes to pass over.

    joblib makes one without arguments and gives it one state. Anything else could make joblib see another array than
    is seen here: arguments and earlier states leave attributes behind, others take the place of its methods.
    """

    def check(self, named: Mapping[str, object]) -> None:
        """Refuse arguments."""
        if self.arguments or named:
            raise pickle.UnpicklingError("an array with arguments")

    def __setstate__(self, state: object) -> None:
        """Refuse what joblib does not write."""
        if self.state is not None or not isinstance(state, dict) or not _ALWAYS <= state.keys() <= _ALWAYS | _SOMETIMES:
            raise pickle.UnpicklingError("an array that joblib has not written")
        super().__setstate__(state)

    def read_inline(self, machine: Machine) -> object:
        """Pass over the array; scan it where it holds objects, for then it is a pickle of its own."""
        state = self.state if isinstance(self.state, dict) else {}
        shape, dtype = state.get("shape"), state.get("dtype")
        if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
            raise pickle.UnpicklingError("an array without a shape, or of negative size")
        if not isinstance(dtype, NumpyType) or state.get("order") not in ("C", "F"):
            raise pickle.UnpicklingError("an array of a type that cannot be checked")
        if dtype.size is None:
            return machine.nested().load()
        if isinstance(dtype.state, tuple) and dtype.state[2] is not None:
            raise pickle.UnpicklingError("an array of arrays")
        if state.get(_ALIGNMENT) is not None:
            read_padding(machine)
        machine.source.skip(math.prod(shape) * dtype.size)
        return StandIn()


class Rebuilt(StandIn):
    """`copyreg._reconstructor`: calls the class that it is given, in a way that the class's stand-in does not see."""

    def check(self, named: Mapping[str, object]) -> None:
        """Refuse classes whose arguments matter."""
        special = (Array, NumpyType, NeverCalled, LatinText, Sized, Rebuilt)
        for argument in (*self.arguments, *named.values()):
            if isinstance(argument, type) and issubclass(argument, special):
                raise pickle.UnpicklingError(f"a call of {argument.__name__}")


SPECIAL: dict[str, type[StandIn]] = {
    "numpy.dtype": NumpyType,
    "numpy.ndarray": NeverCalled,
    "_codecs.encode": LatinText,
    "copyreg._reconstructor": Rebuilt,
    "copy_reg._reconstructor": Rebuilt,
    WRAPPER: Array,
    **{f"{module}.{name}": Sized for module in ("builtins", "__builtin__") for name in ("bytes", "bytearray")},
}
"""Names whose arguments matter."""


def stand_in(full: str, name: str) -> type[Any]:
    """A class to take the place of one name.

    Args:
        full: The name with its module.
        name: The name alone.
    """
    return type(name, (SPECIAL.get(full, StandIn),), {})

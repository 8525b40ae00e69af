"""What a stream would import and call if Python's own machine ran it: the machine without its objects.

`pickle.load` takes each step before it looks at the next, and refuses less than its copy in Python does: it reads over
the ends of frames, and numbers that the copy cannot read. So nothing stops this walk but what stops the real machine
too: bytes that are no opcode, an empty stack, the end of the file, a name that no module can have.
"""

from __future__ import annotations

import codecs
import pickle
import re
import sys
from collections.abc import Callable
from enum import Enum, auto
from typing import ClassVar, NamedTuple

from mlops_scoring.pickles.machine import Bounded
from mlops_scoring.pickles.policy import FUNCTIONS

COMPUTED = "a computed name"
"""Stands for an import whose name is the result of a call."""

_MOST = 1 << 22  # objects at a time; no pickler stacks so many, and a walk should need little memory
_LONGEST_NAME = 4096
_MODULE = re.compile(r"[\w-]+(?:\.[\w-]*)*")
_ATTRIBUTE = re.compile(r"[\w.<>-]*\w[\w.<>-]*")
_WELL_KNOWN = sys.stdlib_module_names | {
    *("__builtin__", "copy_reg", "cloudpickle", "dill", "joblib", "lightgbm", "mlflow", "numpy", "onnx", "pandas"),
    *("pip", "pkg_resources", "scipy", "setuptools", "sklearn", "skops", "torch", "xgboost", "yaml"),
}


class Kind(Enum):
    """What an object on the stack may be."""

    DATA = auto()
    TEXT = auto()
    TUPLE = auto()
    CONTAINER = auto()
    NAME = auto()  # imported; perhaps only a word of a list of words
    IMPORT = auto()  # imported, without doubt
    RESULT = auto()
    ANYTHING = auto()  # result of a call that may give back a text, as what names are made of
    FOREIGN = auto()  # given by the program that loads: a persistent id, a buffer


class _Item(NamedTuple):
    kind: Kind
    text: str | None = None


class Stopped(Exception):
    """The real machine goes no further."""


_DATA, _TUPLE, _CONTAINER = _Item(Kind.DATA), _Item(Kind.TUPLE), _Item(Kind.CONTAINER)
_FOREIGN = _Item(Kind.FOREIGN)
_REAL = frozenset({Kind.IMPORT, Kind.RESULT, Kind.ANYTHING})
_GIVE_TEXTS = FUNCTIONS | {
    *("builtins.str", "copyreg._reconstructor", "copy_reg._reconstructor"),
    *(f"{core}.multiarray.scalar" for core in ("numpy.core", "numpy._core")),
}
"""What may be allowed and may give back a text; instances of classes are none."""
_PLAIN: dict[bytes, tuple[int, _Item]] = {
    **dict.fromkeys((pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE), (0, _DATA)),
    pickle.BININT: (4, _DATA),
    pickle.BININT1: (1, _DATA),
    pickle.BININT2: (2, _DATA),
    pickle.BINFLOAT: (8, _DATA),
    pickle.EMPTY_TUPLE: (0, _TUPLE),
    **dict.fromkeys((pickle.EMPTY_LIST, pickle.EMPTY_DICT, pickle.EMPTY_SET), (0, _CONTAINER)),
    pickle.NEXT_BUFFER: (0, _FOREIGN),
}
_LINES = frozenset({pickle.INT, pickle.LONG, pickle.FLOAT})
_SIZED = {
    pickle.LONG1: 1,
    pickle.LONG4: 4,
    pickle.BINBYTES: 4,
    pickle.SHORT_BINBYTES: 1,
    pickle.BINBYTES8: 8,
    pickle.BYTEARRAY8: 8,
}
_SIZED_TEXTS = {
    pickle.BINSTRING: (4, "latin-1"),
    pickle.SHORT_BINSTRING: (1, "latin-1"),
    pickle.BINUNICODE: (4, "utf-8"),
    pickle.SHORT_BINUNICODE: (1, "utf-8"),
    pickle.BINUNICODE8: (8, "utf-8"),
}
_COLLECTED = {
    pickle.TUPLE: _TUPLE,
    **dict.fromkeys((pickle.LIST, pickle.DICT, pickle.FROZENSET), _CONTAINER),
}
_TUPLES = {pickle.TUPLE1: 1, pickle.TUPLE2: 2, pickle.TUPLE3: 3}
_CALLS = {pickle.REDUCE: 1, pickle.NEWOBJ: 1, pickle.NEWOBJ_EX: 2, pickle.BUILD: 1}
_ADDITIONS = {pickle.APPEND: 1, pickle.SETITEM: 2}
_PUTS = {pickle.BINPUT: 1, pickle.LONG_BINPUT: 4}
_GETS = {pickle.BINGET: 1, pickle.LONG_BINGET: 4}


def _result_of(called: _Item) -> _Item:
    if called.kind not in {*_REAL, Kind.NAME, Kind.FOREIGN}:
        raise Stopped
    return _Item(Kind.ANYTHING if called.text is None or called.text in _GIVE_TEXTS else Kind.RESULT)


class Walk:
    """Walks to where the real machine would stop.

    Args:
        source: Read from its current place.

    Attributes:
        names: What it would import.
        acts: Whether it would call or change something.
        finished: Whether a pickle came to its end with a name in it.
        torn: Whether something goes over a frame's end: then it depends on the kind of file what is read next.
    """

    def __init__(self, source: Bounded) -> None:
        """Stand at the beginning of the stream."""
        self.names: set[str] = set()
        self.acts = False
        self.finished = False
        self.torn = False
        self._frame_end = 0
        self._source = source
        self._later = False
        self._stack: list[_Item] = []
        self._outer: list[list[_Item]] = []
        self._memo: dict[int, _Item] = {}

    def run(self, *, until_act: bool = False) -> None:
        """Walk.

        Args:
            until_act: Go no further than the first call.
        """
        steps = self._steps
        try:
            while not (until_act and self.acts):
                opcode = self._source.read(1)
                if opcode not in steps or len(self._stack) + len(self._outer) + len(self._memo) > _MOST:
                    self.acts |= opcode in steps
                    return
                self._step(steps[opcode], opcode)
        except (Stopped, IndexError, pickle.UnpicklingError, EOFError):
            return

    def _step(self, step: Callable[[Walk, bytes], None], opcode: bytes) -> None:
        end = self._frame_end
        if self._source.place > end:
            step(self, opcode)
            return
        try:
            step(self, opcode)
        finally:
            self.torn |= opcode != pickle.FRAME and self._source.place > end

    def _number(self, size: int) -> int:
        return int.from_bytes(self._source.read(size), "little")

    def _line(self) -> bytes:
        line = self._source.cut_line(_LONGEST_NAME)
        if not line:
            raise Stopped
        return line

    def _push_plain(self, opcode: bytes) -> None:
        size, item = _PLAIN[opcode]
        self._source.read(size)
        self._stack.append(item)

    def _push_line(self, opcode: bytes) -> None:
        del opcode
        self._line()
        self._stack.append(_DATA)

    def _push_sized(self, opcode: bytes) -> None:
        self._source.skip(self._number(_SIZED[opcode]))
        self._stack.append(_DATA)

    def _push_sized_text(self, opcode: bytes) -> None:
        width, encoding = _SIZED_TEXTS[opcode]
        size = self._number(width)
        if size > _LONGEST_NAME:
            self._source.skip(size)
            self._stack.append(_DATA)
            return
        self._stack.append(_Item(Kind.TEXT, self._source.read(size).decode(encoding, "surrogateescape")))

    def _push_string(self, opcode: bytes) -> None:
        del opcode
        line = self._line().strip()
        quoted = line[1:-1] if len(line) > 1 and line[:1] == line[-1:] and line[:1] in {b"'", b'"'} else line
        try:
            text = codecs.escape_decode(quoted)[0].decode("latin-1")
        except ValueError:
            raise Stopped from None
        self._stack.append(_Item(Kind.TEXT, text))

    def _push_unicode(self, opcode: bytes) -> None:
        del opcode
        try:
            self._stack.append(_Item(Kind.TEXT, self._line()[:-1].decode("raw-unicode-escape")))
        except ValueError:
            raise Stopped from None

    def _persistent(self, opcode: bytes) -> None:
        if opcode == pickle.PERSID:
            self._line()
        else:
            self._stack.pop()
        self._stack.append(_FOREIGN)

    def _mark(self, opcode: bytes) -> None:
        del opcode
        self._outer.append(self._stack)
        self._stack = []

    def _until_mark(self) -> list[_Item]:
        items, self._stack = self._stack, self._outer.pop()
        return items

    def _pop(self, opcode: bytes) -> None:
        if self._stack and opcode == pickle.POP:
            self._stack.pop()
        else:
            self._until_mark()

    def _duplicate(self, opcode: bytes) -> None:
        del opcode
        self._stack.append(self._stack[-1])

    def _collect(self, opcode: bytes) -> None:
        self._until_mark()
        self._stack.append(_COLLECTED[opcode])

    def _make_tuple(self, opcode: bytes) -> None:
        for _ in range(_TUPLES[opcode]):
            self._stack.pop()
        self._stack.append(_TUPLE)

    def _memo_key(self) -> int:
        try:
            return int(self._line().partition(b"\0")[0])  # for C, a text ends at its first zero
        except ValueError:
            raise Stopped from None

    def _put(self, opcode: bytes) -> None:
        if opcode == pickle.MEMOIZE:
            key = len(self._memo)
        else:
            key = self._memo_key() if opcode == pickle.PUT else self._number(_PUTS[opcode])
        self._memo[key] = self._stack[-1]

    def _get(self, opcode: bytes) -> None:
        key = self._memo_key() if opcode == pickle.GET else self._number(_GETS[opcode])
        if key not in self._memo and not self._later:
            raise Stopped
        self._stack.append(self._memo.get(key, _FOREIGN))

    def _import(self, module: str, name: str) -> _Item:
        if not _MODULE.fullmatch(module) or not _ATTRIBUTE.fullmatch(name):
            raise Stopped
        self.names.add(f"{module}.{name}")
        self.acts |= self._later
        sure = module.partition(".")[0] in _WELL_KNOWN or "." in module + name or name.startswith("__")
        return _Item(Kind.IMPORT if sure else Kind.NAME, f"{module}.{name}")

    def _global(self, opcode: bytes) -> None:
        try:
            module, name = (self._line()[:-1].decode() for _ in range(2))
        except ValueError:
            raise Stopped from None
        if opcode == pickle.INST:
            self._until_mark()
            made = _result_of(self._import(module, name))
            self.acts = True
            self._stack.append(made)
        else:
            self._stack.append(self._import(module, name))

    def _stacked_global(self, opcode: bytes) -> None:
        del opcode
        name, module = self._stack.pop(), self._stack.pop()
        if module.kind is name.kind is Kind.TEXT:
            self._stack.append(self._import(module.text or "", name.text or ""))
            return
        if not {module.kind, name.kind} <= {Kind.TEXT, Kind.FOREIGN, Kind.ANYTHING}:
            raise Stopped
        self.names.add(COMPUTED)
        self.acts |= self._later
        self._stack.append(_Item(Kind.IMPORT))

    def _call(self, opcode: bytes) -> None:
        arguments = [self._stack.pop() for _ in range(_CALLS[opcode])]
        called = self._stack[-1]
        if called.kind in _REAL or (
            # A list of words has no tuples and no dictionaries.
            called.kind is Kind.NAME and arguments[-1].kind in {Kind.TUPLE, Kind.CONTAINER, *_REAL}
        ):
            self.acts = True
        if opcode != pickle.BUILD:
            self._stack[-1] = _result_of(called)

    def _object(self, opcode: bytes) -> None:
        del opcode
        items = self._until_mark()
        made = _result_of(items[0])
        self.acts = True
        self._stack.append(made)

    def _add(self, opcode: bytes) -> None:
        for _ in range(_ADDITIONS.get(opcode, 0)):
            self._stack.pop()
        if opcode not in _ADDITIONS:
            self._until_mark()
        self.acts |= self._stack[-1].kind in {Kind.IMPORT, Kind.RESULT}

    def _protocol(self, opcode: bytes) -> None:
        del opcode
        if self._number(1) > pickle.HIGHEST_PROTOCOL:
            raise Stopped

    def _frame(self, opcode: bytes) -> None:
        del opcode
        size = self._number(8)
        if size > self._source.rest:
            raise Stopped
        self.torn |= self._source.place - 9 < self._frame_end
        self._frame_end = self._source.place + size

    def _stop(self, opcode: bytes) -> None:
        """A program may load several pickles from one file, by one machine that keeps its memo, or by several."""
        del opcode
        self._stack.pop()
        self.torn |= self._source.place < self._frame_end
        self.finished |= bool(self.names)
        self._later = True
        self._stack, self._outer = [], []

    def _pass(self, opcode: bytes) -> None:
        """Go on: a read-only buffer is one still."""
        del opcode
        self._stack[-1]

    _steps: ClassVar[dict[bytes, Callable[[Walk, bytes], None]]] = {
        **dict.fromkeys(_PLAIN, _push_plain),
        **dict.fromkeys(_LINES, _push_line),
        **dict.fromkeys(_SIZED, _push_sized),
        **dict.fromkeys(_SIZED_TEXTS, _push_sized_text),
        pickle.STRING: _push_string,
        pickle.UNICODE: _push_unicode,
        **dict.fromkeys((pickle.PERSID, pickle.BINPERSID), _persistent),
        pickle.MARK: _mark,
        **dict.fromkeys((pickle.POP, pickle.POP_MARK), _pop),
        pickle.DUP: _duplicate,
        **dict.fromkeys(_COLLECTED, _collect),
        **dict.fromkeys(_TUPLES, _make_tuple),
        **dict.fromkeys((*_PUTS, pickle.PUT, pickle.MEMOIZE), _put),
        **dict.fromkeys((*_GETS, pickle.GET), _get),
        **dict.fromkeys((pickle.GLOBAL, pickle.INST), _global),
        pickle.STACK_GLOBAL: _stacked_global,
        **dict.fromkeys(_CALLS, _call),
        pickle.OBJ: _object,
        **dict.fromkeys((*_ADDITIONS, pickle.APPENDS, pickle.SETITEMS, pickle.ADDITEMS), _add),
        pickle.PROTO: _protocol,
        pickle.FRAME: _frame,
        pickle.READONLY_BUFFER: _pass,
        pickle.STOP: _stop,
    }


def acts(source: Bounded, *, marked: bool) -> bool:
    """Whether the beginning of a stream, unpickled, would run something.

    Args:
        source: Read from its current place.
        marked: It has a pickle's mark; then a mere import counts too. Plain lists of words may look like imports.
    """
    walk = Walk(source)
    walk.run(until_act=True)
    return walk.acts or walk.torn or walk.finished or bool(marked and walk.names)

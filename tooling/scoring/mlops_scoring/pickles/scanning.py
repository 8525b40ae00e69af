"""Scanning: run the pickle machine with inert stand-ins for every name, and look at the names."""

from __future__ import annotations

import ast
import contextlib
import json
import math
import pickle
import re
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Self

from mlops_scoring.pickles.formats import MAX_EXPANDED, Format, Unreadable, detect, open_expanded
from mlops_scoring.pickles.machine import Bounded, InlineArray, Machine, read_padding
from mlops_scoring.pickles.policy import CONTAINERS, Policy, problem_with, resolvable

_MALFORMED: tuple[type[Exception], ...] = (
    *(pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError),
    *(OverflowError, struct.error, RecursionError, MemoryError, SyntaxError),
)
_NOT_READ: tuple[type[Exception], ...] = (*_MALFORMED, Unreadable, zipfile.BadZipFile, OSError)
_TYPE_CODE = re.compile(r"[<>=|]?([biufcmMSUVO])(\d*)")
_HEADER = 128 * 1024
_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_SKOPS_KNOWN = frozenset({"sklearn", "numpy", "scipy"})
_SKOPS_PLAIN = frozenset({"JsonNode", "ListNode", "TupleNode", "DictNode", "SetNode", "SliceNode", "BytesNode"})


class _StandIn:
    """Takes the place of any class or function; takes whatever a pickle does to it, and does nothing."""

    arguments: tuple[object, ...] = ()
    state: object = None

    def __new__(cls, *arguments: object, **named: object) -> Self:
        del named
        made = super().__new__(cls)
        made.arguments = arguments
        return made

    def __init__(self, *arguments: object, **named: object) -> None:
        """Take any arguments."""

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        """Take an item, as a dictionary would."""

    def append(self, value: object) -> None:
        """Take an item, as a list would."""

    def extend(self, values: object) -> None:
        """Take items, as a list would."""

    def add(self, value: object) -> None:
        """Take an item, as a set would."""


class _Array(_StandIn, InlineArray):
    """joblib's `NumpyArrayWrapper`: knows how many bytes to pass over."""

    def read_inline(self, machine: Machine) -> object:
        """Pass over the array; scan it where it holds objects, for then it is a pickle of its own."""
        if not isinstance(self.state, dict) or not isinstance(self.state.get("shape"), tuple):
            raise pickle.UnpicklingError("an array without a shape")
        size = item_size(self.state.get("dtype"))
        if size is None:
            return machine.nested().load()
        if self.state.get("numpy_array_alignment_bytes") is not None:
            read_padding(machine)
        count = math.prod(int(length) for length in self.state["shape"])
        if count < 0:
            raise pickle.UnpicklingError("an array of negative size")
        machine.source.skip(count * size)
        return _StandIn()


def item_size(dtype: object) -> int | None:
    """Bytes of an array's item, from what `numpy.dtype` was called with and its state; None for objects.

    NumPy believes the state where the type has no fixed size, so the two have to agree here.
    """
    code = dtype.arguments[0] if isinstance(dtype, _StandIn) and dtype.arguments else None
    matched = _TYPE_CODE.fullmatch(code) if isinstance(code, str) else None
    if not isinstance(dtype, _StandIn) or matched is None:
        raise pickle.UnpicklingError("an array of a type that cannot be checked")
    kind, digits = matched[1], int(matched[2] or 0)
    if kind == "O":
        return None
    if kind not in "SUV":
        return digits
    size = digits * 4 if kind == "U" else digits
    if dtype.state is None:
        return size
    if not isinstance(dtype.state, tuple) or len(dtype.state) < 8 or dtype.state[5] != size:
        raise pickle.UnpicklingError("an array whose type contradicts itself")
    _, _, base, _, fields, _, _, flags = dtype.state[:8]
    inner = [value[0] for value in fields.values()] if isinstance(fields, dict) else []
    if base is not None or not isinstance(flags, int) or flags & 1 or any(item_size(found) is None for found in inner):
        raise pickle.UnpicklingError("an array of records with objects in them")
    return size


class _Scanner(Machine):
    """Collects the names that a pickle would import.

    Args:
        source: The stream.
        names: Where names are put.
        archived: It is a member of an archive, as PyTorch writes them: persistent ids stand for tensors.
        joblib: Bytes of arrays stand in the stream. `pickle.load` would take them for opcodes.
    """

    def __init__(self, source: Bounded, names: set[str], *, archived: bool = False, joblib: bool = True) -> None:
        super().__init__(source)
        self._names = names
        self._archived = archived
        self._joblib = joblib

    def find_class(self, module: str, name: str) -> type[Any]:
        """Note a name; give a stand-in."""
        if not resolvable(module, name):
            raise pickle.UnpicklingError(f"the name {module}.{name}"[:200])
        full = f"{module}.{name}"
        self._names.add(full)
        return _Array if self._joblib and full == _WRAPPER else type(name, (_StandIn,), {})

    def persistent_load(self, pid: object) -> object:
        """Tensors in PyTorch's archives; nothing else has them."""
        if not self._archived:
            raise pickle.UnpicklingError("a persistent id")
        return _StandIn(pid)

    def nested(self) -> _Scanner:
        """A scanner for a pickle inside this one."""
        return _Scanner(self.source, self._names)


def scan(path: str | Path, policy: Policy) -> list[str]:
    """Say why a file is refused.

    Args:
        path: The file.
        policy: What the repository allows.

    Returns:
        One sentence for each problem. Empty for a file whose every name is allowed, and for one that is known to hold
        no pickle. What cannot be understood is a problem.
    """
    path = Path(path)
    try:
        found = detect(path)
        if found is Format.INERT:
            return []
        if found is Format.UNKNOWN:
            return ["its format is not known"]
        names = _names(path, found)
    except _NOT_READ as error:
        return [f"it cannot be read as what it seems to be ({type(error).__name__}: {error}), so it is not loaded"]
    if names is None:
        return []
    problems = []
    if found is not Format.SKOPS and (needed := _policy_format(path, names)) not in policy.formats:
        problems.append(f"pickle_policy.formats does not list {needed}")
    return problems + [problem for name in sorted(names) if (problem := problem_with(name, policy))]


def needed_classes(path: str | Path) -> list[str]:
    """The names that a policy has to list for a file to pass, for a person to judge.

    Raises:
        ValueError: The file cannot be understood.
    """
    path = Path(path)
    try:
        return sorted((_names(path, detect(path)) or set()) - CONTAINERS)
    except _NOT_READ as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from None


def _policy_format(path: Path, names: set[str]) -> str:
    """What the policy calls a file: by its name, and by its content where the name does not tell."""
    if path.suffix.lower() in {".pkl", ".pickle"}:
        return "pickle"
    return "joblib" if path.suffix.lower() == ".joblib" or _WRAPPER in names else "pickle"


def _names(path: Path, found: Format) -> set[str] | None:
    """Names in a file; None when it holds no pickle."""
    match found:
        case Format.SKOPS:
            return _skops_names(path)
        case Format.ARCHIVE:
            return _archive_names(path)
        case Format.NUMPY:
            with path.open("rb") as file:
                _refuse_objects(file.read(_HEADER))
            return None
        case Format.INERT | Format.UNKNOWN:
            return None
        case Format.PICKLE:
            with open_expanded(path) as file:
                return _stream_names(file)


def _stream_names(file: IO[bytes], *, archived: bool = False) -> set[str]:
    names: set[str] = set()
    source = Bounded(file)
    _Scanner(source, names, archived=archived).load()
    # Some programs put several pickles in one file, and a reader may load them all.
    while source.rest:
        _Scanner(source, names, archived=archived).load()
    if _WRAPPER in names:
        # What passes for an array here may be opcodes to a script that calls pickle.load: look at those names too.
        file.seek(0)
        with contextlib.suppress(*_MALFORMED):
            _Scanner(Bounded(file), names, joblib=False).load()
    return names


def _refuse_objects(head: bytes) -> None:
    """Refuse a NumPy file of objects: NumPy unpickles those."""
    start = 10 if head[6:7] == b"\x01" else 12
    length = int.from_bytes(head[8:start], "little")
    described = ast.literal_eval(head[start : start + length].decode("latin-1").strip())
    if "O" in _codes(described["descr"]):
        raise Unreadable("an array of objects, which NumPy unpickles")


def _codes(descr: object) -> str:
    """The type codes in a NumPy header, without the names of fields."""
    if isinstance(descr, str):
        return descr
    if isinstance(descr, list):
        return "".join(_codes(field[1]) for field in descr)
    raise Unreadable("an array of a type that cannot be checked")


def _archive_names(path: Path) -> set[str] | None:
    names: set[str] = set()
    found = False
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            data = _member(archive, member)
            if data.startswith(b"\x93NUMPY"):
                _refuse_objects(data[:_HEADER])
            elif member.filename.endswith((".pkl", ".pickle", ".joblib")) or data[:1] == b"\x80":
                found = True
                names |= _stream_names(BytesIO(data), archived=True)
    return names if found else None


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.file_size > MAX_EXPANDED or member.file_size > max(member.compress_size, 1024) * 2000:
        raise Unreadable(f"its member {member.filename} becomes too large")
    return archive.read(member)


def _skops_names(path: Path) -> set[str]:
    names: set[str] = set()
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            data = _member(archive, member)
            if member.filename == "schema.json":
                _walk_skops(json.loads(data), names)
            elif data.startswith(b"\x93NUMPY"):
                _refuse_objects(data[:_HEADER])
    return names


def _walk_skops(node: object, names: set[str]) -> None:
    """Collect the types of a skops schema, whatever node they stand in."""
    if isinstance(node, list):
        for item in node:
            _walk_skops(item, names)
    elif isinstance(node, dict):
        module, name = node.get("__module__"), node.get("__class__")
        if module is not None or name is not None:
            _note_skops(module, name, node.get("__loader__"), names)
        if "module_path" in node or "function" in node:
            _note_skops(node.get("module_path"), node.get("function"), None, names)
        for value in node.values():
            _walk_skops(value, names)


def _note_skops(module: object, name: object, loader: object, names: set[str]) -> None:
    if not isinstance(module, str) or not isinstance(name, str) or not resolvable(module, name):
        raise pickle.UnpicklingError(f"the type {module}.{name}"[:200])
    plain = loader in _SKOPS_PLAIN and module == "builtins"
    # skops itself knows which of these packages' types are safe, and refuses the others when it loads.
    if not plain and module.partition(".")[0] not in _SKOPS_KNOWN:
        names.add(f"{module}.{name}")

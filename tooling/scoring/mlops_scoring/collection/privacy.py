"""Fields that are never written, and fields of which only a keyed digest is.

A name stands for every field of that name, however deep it lies: `ssn` is found in `{"person": {"ssn": 1}}` and in each
element of a list. `person.ssn` is a field `ssn` directly in a field `person`. What has its names elsewhere than beside
its values is searched as well:

- `{"columns": [...], "data": [[...], ...]}`: the columns of these names, which are the model's where they only count;
- any other object with a list of names that holds one of these, whatever both are called: all lists in the object,
  rows or columns, by position; a table whose first row or column are the names, too. Where more than one axis may be
  meant, or none, nothing is kept; a flat list of several rows is left empty;
- `{"name": ..., "data": ...}`, a tensor of the Open Inference Protocol: the tensor of that name, or its rows; also with
  `value` and `values`;
- a text that holds JSON once more, as clients that encode twice send it;
- rows that are lists, at the top or as `data`, `input_data`, `instances`, `inputs`, `outputs` or `predictions`: by the
  model's columns where they are known and as many, else by the position, from `0`. Where names are to be found among
  rows that have none, nothing is kept.

Better too much is left out than too little. What is hashed is replaced by the first 32 hexadecimal digits of the
HMAC-SHA256 of its JSON text, so that equal values stay equal and nobody without the key can try all of them; null stays
null. Whole numbers hash alike whether written `1` or `1.0`.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from mlops_scoring.collection.headings import (
    HOLDING,
    axes,
    headings,
    headings_within,
    holds_values,
    is_heading,
    is_nested,
)

NEVER_CAPTURED = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
"""Headers that are not written even where they are listed: they are credentials."""

_DIGITS = 32
_ROWS = frozenset({"data", "input_data", "instances", "inputs", "outputs", "predictions"})
_Fate = Literal["keep", "hash", "deny"]


class Unfiltered(Exception):
    """A value in which the fields cannot be found, so that nothing of it may be written."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What is to become of the fields of a collection.

    Attributes:
        deny: Names of fields that are left out.
        hash: Names of fields that are hashed; a name in both is left out.
        columns: The model's columns in order, for rows that are lists; empty where they are not known.
        asked: Whether it is what clients ask, where single values may be a row; in answers they are predictions.
    """

    deny: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    asked: bool = False

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.deny or self.hash)

    @property
    def ends(self) -> frozenset[str]:
        """The last parts of all names that are to be found."""
        return frozenset(name.rpartition(".")[2] for name in (*self.deny, *self.hash))

    def knows(self, name: str) -> bool:
        """Whether a name is that of a column, or what becomes of its field is said."""
        return name in self.columns or name in self.deny or name in self.hash

    def names(self, width: int) -> Sequence[str]:
        """Names of values that have none: the model's columns where they are as many, else positions.

        Raises:
            Unfiltered: A name that is no position is to be found among them.
        """
        if self.columns and len(self.columns) == width:
            return self.columns
        if all(name.rpartition(".")[2].isdigit() for name in (*self.deny, *self.hash)):
            return [str(place) for place in range(width)]
        message = f"rows of {width} values without names"
        raise Unfiltered(message)

    def apply(self, value: object, key: bytes) -> object:
        """A JSON value without what must not be written; the value itself is left alone.

        Raises:
            Unfiltered: Names are to be found among values that have none.
        """
        whole = _inner(value)
        if isinstance(whole, str | int | float) and not isinstance(whole, bool):
            message = "a single value without a name"
            raise Unfiltered(message)
        kept = _Filtering(frozenset(self.deny), frozenset(self.hash), self, key, self.ends).value(whole, ())
        return json.dumps(kept) if isinstance(value, str) else kept

    def apply_to_headers(self, headers: Mapping[str, str], key: bytes) -> dict[str, str]:
        """Headers, their names in lower case, by the same rules; names are compared without regard to case."""
        deny = {name.lower() for name in self.deny}
        hashed = {name.lower() for name in self.hash}
        return {
            name: digest(value, key) if name in hashed else value
            for name, value in headers.items()
            if name not in deny and name not in NEVER_CAPTURED
        }


def _inner(value: object) -> object:
    """What a text holds that is JSON once more; anything else as it is."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


def only_count(names: Sequence[str]) -> bool:
    """Whether names are positions, as of rows that have none."""
    return all(name == str(place) for place, name in enumerate(names))


def digest(value: object, key: bytes) -> str:
    """The digest that is written in place of a value."""
    plain = int(value) if isinstance(value, float) and value.is_integer() else value
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()[:_DIGITS]


def _is_single(value: object) -> bool:
    """Whether a value has no values in it; null is none."""
    return not isinstance(_inner(value), list | dict | None)


def _flat(data: Sequence[object]) -> list[object]:
    flat: list[object] = []
    open_lists = [iter(data)]
    while open_lists:
        for item in open_lists[-1]:
            if isinstance(item, list):
                open_lists.append(iter(item))
                break
            flat.append(item)
        else:
            open_lists.pop()
    return flat


def _worse(*fates: _Fate) -> _Fate:
    return "deny" if "deny" in fates else "hash" if "hash" in fates else "keep"


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in lists of names: what it is called by each, and what becomes of what stands there."""

    names: tuple[str, ...]
    fate: _Fate

    def joined(self, other: _Place) -> _Place:
        """The place by the names of both lists."""
        return _Place(tuple(dict.fromkeys((*self.names, *other.names))), _worse(self.fate, other.fate))


@dataclass(frozen=True, slots=True)
class _Filtering:
    deny: Collection[str]
    hashed: Collection[str]
    filter: Filter
    key: bytes
    ends: Collection[str] = ()
    heads: Mapping[int, Sequence[_Place]] = field(default_factory=dict)

    def value(self, value: object, path: tuple[str, ...], *, beside: bool = False) -> object:
        """A value without what must not be written.

        Args:
            value: JSON.
            path: The names on the way to it.
            beside: Whether it stands directly beside a list of names.
        """
        match value:
            case dict():
                return self._object(value, path)
            case list():
                return self._table(value, path, beside=beside)
            case str() if value.lstrip().startswith(("{", "[")):
                return self._text(value, path)
            case _:
                return value

    def _text(self, text: str, path: tuple[str, ...]) -> object:
        """A text that holds JSON once more, as clients that encode twice send it."""
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            return text
        kept = self.value(inner, path)
        return text if kept == inner else json.dumps(kept)

    def _fate(self, name: str, path: tuple[str, ...]) -> _Fate:
        """What becomes of a field, by all the names that it can be called."""
        names = [name]
        for part in reversed(path):
            names.append(f"{part}.{names[-1]}")
        if any(found in self.deny for found in names):
            return "deny"
        return "hash" if any(found in self.hashed for found in names) else "keep"

    def _hash(self, value: object) -> object:
        """The digest of each value of a column, so that it can be compared with the fields of rows."""
        if isinstance(value, list):
            return [self._hash(item) for item in value]
        return None if value is None else digest(value, self.key)

    def _object(self, value: Mapping[str, object], path: tuple[str, ...]) -> object:
        heads = list(headings(value, self.ends))
        under = self._under(heads, path) if heads else self
        match value:
            case {"columns": list() as columns, "data": list() as rows, **rest} if not holds_values(columns):
                index = {"index": rest.pop("index")} if "index" in rest else {}
                fields = {**self._fields(index, path), **under._fields(rest, path, beside=bool(heads))}
                return {**fields, **self._split([str(name) for name in columns], rows, path)}
            case {"name": str(name)} if (fate := self._fate(name, path)) != "keep" and any(n in value for n in HOLDING):
                kept = {n: [] if fate == "deny" else self._hash(value[n]) for n in HOLDING if n in value}
                more = {n: item for n, item in value.items() if n not in kept}
                return {**under._fields(more, path), **kept}
            case _ if under.heads:
                return under._fields(value, path, beside=bool(heads))
            case {"name": str(name), "shape": list(shape), "data": list(data), **rest}:
                fields = self._fields({"name": name, "shape": shape, **rest}, path)
                return {**fields, "data": self._tensor(name, shape, data, (*path, "data"))}
            case _:
                return self._fields(value, path)

    def _fields(self, value: Mapping[str, object], path: tuple[str, ...], *, beside: bool = False) -> dict[str, object]:
        result: dict[str, object] = {}
        for name, item in value.items():
            match self._fate(name, path):
                case "keep":
                    tensor = name == "inputs" and not self.heads
                    found = self._only_tensor(item, (*path, name)) if tensor else None
                    result[name] = self.value(item, (*path, name), beside=beside) if found is None else found
                case "hash":
                    result[name] = self._hash(item)
                case "deny":
                    pass
        return result

    # What has its names elsewhere

    def _under(self, heads: Iterable[Sequence[str]], path: tuple[str, ...]) -> _Filtering:
        """The same, where these lists of names hold too."""
        merged = dict(self.heads)
        for names in heads:
            if self._strictest(names, path) != "keep":
                places = [_Place((name,), self._fate(name, path)) for name in names]
                merged[len(names)] = [*map(_Place.joined, merged.get(len(names), places), places)]
        return replace(self, heads=merged)

    def _table(self, value: Sequence[object], path: tuple[str, ...], *, beside: bool) -> object:
        """A list, by the lists of names that hold here; as any other where none can be meant."""
        heads = list(headings_within(value, self.ends))
        under = self._under(heads, path) if heads else self
        return under.placed(value, path, beside=beside or bool(heads)) if under.heads else self._list(value, path)

    def placed(self, value: Sequence[object], path: tuple[str, ...], *, beside: bool) -> object:
        """A list by position; each of its lists for itself where none of its axes is under names."""
        if value and all(isinstance(item, dict) for item in value) and not is_heading(value, self.ends):
            return [self.value(item, path) for item in value]
        found = {(width, axis): whole for width in self.heads for axis, whole in axes(value, width).items()}
        if not is_nested(value):
            if not found and any(len(value) % width == 0 for width in self.heads):
                return []
        elif len(found) > 1 or not all(found.values()) or (beside and not found):
            message = "nested lists beside names, of which it is not plain what they stand for"
            raise Unfiltered(message)
        if not found:
            return self._list(value, path)
        ((width, axis),) = found
        return self._along(value, self.heads[width], axis, path)

    def _along(self, value: object, places: Sequence[_Place], axis: int, path: tuple[str, ...]) -> object:
        """Nested lists without what is under a name, which stand along an axis."""
        if not isinstance(value, list):
            if value is None or isinstance(value, dict):
                return self.value(value, path)
            message = "a single value among rows"
            raise Unfiltered(message)
        if axis:
            return [self._along(item, places, axis - 1, path) for item in value]
        plain = replace(self, heads={})
        result: list[object] = []
        for item, place in zip(value, places, strict=True):
            match place.fate:
                case "keep":
                    result.append(
                        functools.reduce(lambda kept, name: plain.value(kept, (*path, name)), place.names, item)
                    )
                case "hash":
                    result.append(self._hash(item))
                case "deny":
                    pass
        return result

    def _split(self, names: Sequence[str], rows: Sequence[object], path: tuple[str, ...]) -> dict[str, object]:
        """`columns` and `data`; columns that only count have the model's names too."""
        known = self.filter.names(len(names)) if names and only_count(names) else names
        fates = [self._strictest(pair, path) for pair in zip(names, known, strict=True)]
        left = [name for name, fate in zip(names, fates, strict=True) if fate != "deny"]
        return {"columns": left, "data": [self._row(row, known, fates, path) for row in rows]}

    def _strictest(self, names: Iterable[str], path: tuple[str, ...]) -> _Fate:
        return _worse(*(self._fate(name, path) for name in names))

    def _tensor(
        self, name: str, shape: Sequence[object], data: Sequence[object], path: tuple[str, ...]
    ) -> list[object]:
        """The data of a tensor that is not itself left out or hashed."""
        flat = _flat(data)
        if not flat or name in self.filter.columns or (len(shape) == 1 and not self.filter.asked):
            return [self.value(item, path) for item in flat]
        match shape:
            case [_, int(width)] if width > 0 and len(flat) % width == 0:
                return [self._nameless(flat[start : start + width], path) for start in range(0, len(flat), width)]
        message = f"a tensor of the shape {shape}"
        raise Unfiltered(message)

    def _only_tensor(self, inputs: object, path: tuple[str, ...]) -> object:
        """`inputs` that are one tensor of rows by its name; None where they are something else."""
        match inputs:
            case dict() if len(inputs) == 1:
                ((name, rows),) = inputs.items()
                rows_of_it = isinstance(rows, list) and any(isinstance(row, list) for row in rows)
                if rows_of_it and name not in self.filter.columns and self._fate(name, path) == "keep":
                    return {name: [self._nameless(row, path) for row in rows]}
        return None

    def _list(self, value: Sequence[object], path: tuple[str, ...]) -> object:
        if path and path[-1] not in _ROWS:
            return [self.value(item, path) for item in value]
        if self.filter.asked and any(_is_single(item) for item in value):
            return self._singles(value, path)
        return [self._nameless(item, path) if isinstance(item, list) else self.value(item, path) for item in value]

    def _singles(self, values: Sequence[object], path: tuple[str, ...]) -> list[object]:
        """Single values where rows are expected: the model's only column, or one row."""
        columns = () if any(isinstance(_inner(value), list | dict) for value in values) else self.filter.columns
        if len(columns) == 1:
            return [kept for value in values for kept in self._nameless([value], path)]
        if len(columns) == len(values):
            return self._nameless(values, path)
        message = "single values without names among rows"
        raise Unfiltered(message)

    def _nameless(self, row: object, path: tuple[str, ...]) -> list[object]:
        names = self.filter.names(len(row)) if isinstance(row, list) else ()
        return self._row(row, names, [self._fate(name, path) for name in names], path)

    def _row(self, row: object, names: Sequence[str], fates: Sequence[_Fate], path: tuple[str, ...]) -> list[object]:
        if not isinstance(row, list) or len(row) != len(names):
            message = f"a row that has not {len(names)} values"
            raise Unfiltered(message)
        if _worse(*fates) != "keep" and any(isinstance(item, list) and axes(item, len(names)) for item in row):
            message = "rows within a row"
            raise Unfiltered(message)
        result: list[object] = []
        for item, name, fate in zip(row, names, fates, strict=True):
            match fate:
                case "keep":
                    result.append(self.value(item, (*path, name)))
                case "hash":
                    result.append(self._hash(item))
                case "deny":
                    pass
        return result

"""JSON values to arrays of a known type and shape, without guessing; what does not fit is named by its path."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from mlops_scoring.worker.prediction import Array, TensorSpec
from mlops_scoring.worker.scoring import Unfit

_KINDS = {"b": "biu", "i": "biu", "u": "biu", "f": "biuf"}
"""Kinds of NumPy types that are taken for others: conversion alone would read "5" as a number and cut 1.5 to 1."""

_TYPES: Mapping[str, set[type]] = {
    "O": {str},
    "b": {bool, int},
    "i": {bool, int},
    "u": {bool, int},
    "f": {bool, int, float, type(None)},
}

_WANTED = {"b": "true or false", "i": "a whole number", "u": "a whole number", "f": "a number", "O": "a string"}
_SHOWN = 100
_MAX_RANK = 32


def to_array(numpy: Any, values: object, dtype: str, where: str) -> Array:  # noqa: ANN401 - a module
    """Nested lists, or one value, as an array; null is a missing number.

    Args:
        numpy: The module, of the model's environment.
        values: From JSON.
        dtype: Name of the NumPy type; `object` is strings.
        where: Their path in the request.

    Raises:
        Unfit: A value is of another type or out of range, or lists of one depth are of several lengths.
    """
    kind = numpy.dtype(dtype).kind
    # Types are looked at first: NumPy would make room for the longest string in place of every number.
    types = element_types(values)
    if types is None or not types <= _TYPES[kind]:
        _check(values, kind, where, 0)
    try:
        if kind == "O" or type(None) in (types or ()):
            found = numpy.array(values, dtype=object if kind == "O" else "float64")  # nulls become NaN
        elif kind == "f":
            found = numpy.array(values)
        else:
            found = _whole(numpy, values, dtype)
        if not found.size:
            return found.astype(dtype)
        if kind == "O" and isinstance(found.flat[0], list):
            raise ValueError("lists of several lengths")  # noqa: TRY301 - as NumPy does for numbers
    except (ValueError, TypeError, OverflowError, RecursionError):
        _check(values, kind, where, 0)
        raise Unfit(f"{where}: must be of type {dtype}.") from None
    if kind == "O":
        return _text(found, where)
    if found.dtype.kind not in _KINDS[kind]:
        raise Unfit(f"{where}: has a number that is out of the range of {dtype}.")
    return cast(numpy, found, dtype, where)


def _text(found: Array, where: str) -> Array:
    try:
        "".join(found.reshape(-1).tolist()).encode()
    except UnicodeEncodeError:
        raise Unfit(f"{where}: has half of a surrogate pair, which is no text.") from None
    return found


def _whole(numpy: Any, values: object, dtype: str) -> Array:  # noqa: ANN401 - a module
    """Whole numbers as the widest type that holds them; NumPy's own choice for some is floating point."""
    try:
        return numpy.array(values, dtype="int64")
    except OverflowError:
        found = numpy.array(values, dtype=object)
        fits = dtype == "uint64" and int(found.min()) >= 0 and int(found.max()) < 1 << 64
        return found.astype("uint64") if fits else found


def element_types(values: object) -> set[type] | None:
    """The types of what the innermost lists hold; None where lists stand beside other values."""
    if not isinstance(values, list):
        return {type(values)}
    while True:
        types = set(map(type, values))
        if list not in types:
            return types
        if len(types) > 1:
            return None
        values = list(chain.from_iterable(values))


def cast(numpy: Any, found: Array, dtype: str, where: str) -> Array:  # noqa: ANN401 - a module
    """An array of numbers as one of another type.

    Raises:
        Unfit: A value is not in the type's range.
    """
    if found.dtype == dtype:
        return found
    target = numpy.dtype(dtype)
    if target.kind == "f":
        with numpy.errstate(over="raise"):
            try:
                return found.astype(dtype)
            except FloatingPointError:
                raise Unfit(f"{where}: has a number that is out of the range of {dtype}.") from None
    limits = (0, 1) if target.kind == "b" else (numpy.iinfo(target).min, numpy.iinfo(target).max)
    if found.size and (int(found.min()) < limits[0] or int(found.max()) > limits[1]):
        raise Unfit(f"{where}: has a number that is out of the range of {dtype}, {limits[0]} to {limits[1]}.")
    return found.astype(dtype)


def check_shape(shape: Sequence[int], spec: TensorSpec, where: str) -> None:
    """Compare an array's shape with what the model takes.

    Raises:
        Unfit: They differ.
    """
    if len(shape) != len(spec.shape):
        raise Unfit(f"{where}: has {len(shape)} dimensions; the model takes {len(spec.shape)}, {list(spec.shape)}.")
    for axis, (length, wanted) in enumerate(zip(shape, spec.shape, strict=True)):
        if wanted not in {-1, length}:
            raise Unfit(f"{where}: has {length} values along axis {axis}; the model takes {wanted}.")


def check_axes(tensors: Mapping[str, Array], specs: Sequence[TensorSpec], paths: Mapping[str, str]) -> None:
    """Compare lengths of axes that the model calls by one name.

    Raises:
        Unfit: They differ.
    """
    lengths: dict[str, tuple[int, str]] = {}
    for spec in specs:
        for length, axis in zip(tensors[spec.name].shape, spec.axes, strict=False):
            first, name = lengths.setdefault(axis, (length, spec.name))
            if axis and first != length:
                raise Unfit(f"{paths[spec.name]}: its axis {axis!r} has length {length}; that of {name!r} has {first}.")


def _check(value: object, kind: str, where: str, depth: int) -> int:
    """Name the first value that cannot be in an array of this kind; else tell how deep the lists are."""
    if not isinstance(value, list):
        if not _fits(value, kind):
            raise Unfit(f"{where}: must be {_WANTED[kind]}; it is {_shown(value)}.")
        return 0
    if depth >= _MAX_RANK:
        raise Unfit(f"{where}: lists are nested more than {_MAX_RANK} deep.")
    if set(map(type, value)) <= _TYPES[kind]:
        return 1  # without a look at each, of which there may be millions
    below = 0
    for place, item in enumerate(value):
        path = f"{where}[{place}]"
        found = _check(item, kind, path, depth + 1)
        if not place:
            below = found
        elif found != below:
            raise Unfit(f"{path}: is nested less or more deeply than the first.")
        elif below and len(item) != len(value[0]):
            raise Unfit(f"{path}: has {len(item)} values; the first has {len(value[0])}.")
    return below + 1


def _fits(value: object, kind: str) -> bool:
    match kind:
        case "O":
            return isinstance(value, str)
        case "f":
            return value is None or isinstance(value, int | float)
        case _:
            return isinstance(value, int)


def _shown(value: object) -> str:
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return json.dumps(value)[:_SHOWN]

"""Rows of a request to arrays."""

from __future__ import annotations

from itertools import chain
from typing import Any

from mlops_scoring.worker.prediction import Array, Table, TensorSpec
from mlops_scoring.worker.runtimes.arrays import to_array
from mlops_scoring.worker.runtimes.tabular import blame, check_width, reordered
from mlops_scoring.worker.scoring import Unfit

_NUMBERS = {int, float, bool}


def matrix(numpy: Any, table: Table, spec: TensorSpec) -> Array:  # noqa: ANN401 - a module
    """All rows as one array of the type and width of the model's only input.

    Raises:
        Unfit: They do not fit.
    """
    if spec.shape[1] != -1:
        check_width(table, spec.shape[1])
    rows = table.rows
    if not rows:
        return numpy.empty((0, max(spec.shape[1], 1)), dtype=spec.dtype)
    types = set(map(type, chain.from_iterable(rows)))
    if types <= _NUMBERS and spec.datatype in {"FP32", "FP64"}:
        try:
            found = numpy.array(rows)
            if found.dtype.kind in "biuf":
                return found.astype(spec.dtype, copy=False)
        except (ValueError, OverflowError):
            pass
    try:
        return to_array(numpy, rows, spec.dtype, table.where)
    except Unfit as unfit:
        floating, text = spec.datatype.startswith("FP"), spec.datatype == "BYTES"
        raise blame(table, numeric=not text, gaps=floating, fallback=_after(str(unfit), table.where)) from None


def columns(numpy: Any, table: Table, specs: tuple[TensorSpec, ...]) -> dict[str, Array]:  # noqa: ANN401 - a module
    """Each column as the array of the input of its name, or of its place.

    Raises:
        Unfit: They do not fit.
    """
    rows = reordered(table, [spec.name for spec in specs])
    check_width(Table(rows, None, table.where), len(specs))
    feed = {}
    for place, spec in enumerate(specs):
        column = Table([[row[place]] for row in rows], (spec.name,), table.where)
        found = matrix(numpy, column, TensorSpec(spec.name, spec.datatype, (-1, 1)))
        feed[spec.name] = found if len(spec.shape) == 2 else found.reshape(-1)
    return feed


def _after(message: str, where: str) -> str:
    """A message without its path."""
    return message.partition(": ")[2] if message.startswith(where) else message

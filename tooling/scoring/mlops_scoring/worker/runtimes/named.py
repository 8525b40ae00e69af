"""Inputs by name: nested lists to arrays, and arrays compared with what a model takes."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from mlops_scoring.worker.prediction import DATATYPES, Array, TensorSpec
from mlops_scoring.worker.runtimes.arrays import to_array
from mlops_scoring.worker.scoring import Unfit


def named_values(
    numpy: Any,  # noqa: ANN401 - a module
    values: object,
    specs: tuple[TensorSpec, ...],
    where: str,
) -> tuple[dict[str, Array], dict[str, str]]:
    """Arrays of nested lists, and the path of each.

    Args:
        numpy: The module, of the model's environment.
        values: Lists for the only input, or an object with lists by name.
        specs: The model's inputs.
        where: The path of the values.

    Raises:
        Unfit: They do not fit.
    """
    if not isinstance(values, dict):
        if len(specs) != 1:
            names = ", ".join(spec.name for spec in specs[:20])
            raise Unfit(f"{where}: must be an object with lists for each input: {names}.")
        values, paths = {specs[0].name: values}, {specs[0].name: where}
    else:
        paths = {name: f"{where}.{name[:100]}" for name in values}
    check_names(values, specs, paths, where)
    dtypes = {spec.name: spec.dtype for spec in specs}
    return {name: to_array(numpy, given, dtypes[name], paths[name]) for name, given in values.items()}, paths


def check_names(
    given: Mapping[str, object], specs: tuple[TensorSpec, ...], paths: Mapping[str, str], where: str
) -> None:
    """Compare names with those of the inputs.

    Raises:
        Unfit: One is missing, or unknown.
    """
    names = [spec.name for spec in specs]
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    for name in given:
        if name not in names:
            raise Unfit(f"{paths[name]}: the model has no input {name[:100]!r}; it takes {listed}.")
    for name in names:
        if name not in given:
            raise Unfit(f"{where}: {name!r} is missing; the model takes {listed}.")


def match_tensors(
    tensors: Mapping[str, Array], specs: tuple[TensorSpec, ...], paths: Mapping[str, str]
) -> dict[str, Array]:
    """Arrays of the types that the model takes; a type is only changed where no value can change.

    Raises:
        Unfit: A name or a type does not fit.
    """
    check_names(tensors, specs, paths, "inputs")
    feed = {}
    for spec in specs:
        found = tensors[spec.name]
        if found.dtype != spec.dtype:
            if "object" in {str(found.dtype), spec.dtype} or not _widens(found, spec):
                given = DATATYPES.get(str(found.dtype), "?")
                raise Unfit(f"{paths[spec.name]}.datatype: is {given}; the model takes {spec.datatype}.")
            found = found.astype(spec.dtype)
        feed[spec.name] = found
    return feed


def _widens(found: Array, spec: TensorSpec) -> bool:
    return bool(importlib.import_module("numpy").can_cast(found.dtype, spec.dtype, "safe"))

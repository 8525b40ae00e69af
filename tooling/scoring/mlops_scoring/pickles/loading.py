"""Loading: the same machine with the real, allowed classes in place of the stand-ins."""

from __future__ import annotations

import importlib
import math
import pickle
from pathlib import Path
from typing import Any

from mlops_scoring.pickles.expanding import HEAD, compressed, expanded, head_of
from mlops_scoring.pickles.formats import Format, detect
from mlops_scoring.pickles.machine import Bounded, InlineArray, Machine, read_padding
from mlops_scoring.pickles.policy import CONTAINERS, FUNCTIONS, Policy, problem_with, resolvable
from mlops_scoring.pickles.scanning import scan
from mlops_scoring.pickles.standins import WRAPPER

_CYTHON = "__pyx_unpickle_"
"""Names of the functions by which Cython's classes are made again; they make that one class and nothing else."""


def _computes(name: str, found: object) -> bool:
    """Whether it is Cython's way to make its own class, or one of NumPy's element-wise functions."""
    return name.startswith(_CYTHON) or f"{type(found).__module__}.{type(found).__name__}" == "numpy.ufunc"


class PickleRefused(Exception):
    """A file that the policy does not allow; the message says why."""


def load(path: str | Path, policy: Policy) -> Any:  # noqa: ANN401 - whatever the file holds
    """Load a pickle, joblib or skops file under a policy.

    Raises:
        PickleRefused: The policy does not allow it.
        ImportError: A class's package is not installed.
    """
    path = Path(path)
    problems = scan(path, policy)
    if problems:
        raise PickleRefused("; ".join(problems))
    match detect(path):
        case Format.SKOPS:
            skops = importlib.import_module("skops.io")
            return skops.load(path, trusted=sorted(policy.classes))
        case Format.PICKLE:
            with path.open("rb") as file, expanded(file) if compressed(head_of(file, HEAD)) else file as content:
                return _Loader(Bounded(content), policy).load()
        case _:
            raise PickleRefused("it is neither pickle, joblib nor skops")


class _Wrapper(InlineArray):
    """joblib's `NumpyArrayWrapper`, read without joblib; its `__setstate__` is the default one."""

    subclass: Any
    shape: tuple[int, ...]
    order: str
    dtype: Any
    numpy_array_alignment_bytes: int | None = None

    def read_inline(self, machine: Machine) -> object:
        """Read the array; one of objects is a pickle of its own, under the same policy."""
        numpy = importlib.import_module("numpy")
        if self.dtype.hasobject:
            return machine.nested().load()
        if self.numpy_array_alignment_bytes is not None:
            read_padding(machine)
        data = machine.source.read(math.prod(self.shape) * self.dtype.itemsize)
        array = numpy.frombuffer(bytearray(data), dtype=self.dtype)
        return array.reshape(self.shape, order="F" if self.order == "F" else "C")


class _Loader(Machine):
    """Makes objects of allowed classes only."""

    def __init__(self, source: Bounded, policy: Policy, *, nested: bool = False) -> None:
        super().__init__(source)
        self._policy = policy
        self._nested = nested

    def find_class(self, module: str, name: str) -> object:
        """Import an allowed name."""
        full = f"{module}.{name}"
        problem = problem_with(full, self._policy)
        if problem is not None or not resolvable(module, name):
            raise PickleRefused(problem or f"the name {full}")
        if full == WRAPPER:
            if self._nested:
                raise PickleRefused("it holds an array whose bytes follow, within an array of objects")
            return _Wrapper
        found = super().find_class(module, name)
        if not isinstance(found, type) and full not in CONTAINERS | FUNCTIONS and not _computes(name, found):
            raise PickleRefused(f"it calls {full}, which is a function: only classes can be allowed")
        return found

    def persistent_load(self, pid: object) -> object:
        """Refuse references to what is not in the file."""
        raise pickle.UnpicklingError(f"a persistent id: {pid!r}"[:200])

    def nested(self) -> _Loader:
        """A loader for a pickle inside this one."""
        return _Loader(self.source, self._policy, nested=True)

"""The names that a pickle may import."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Policy(Protocol):
    """What a repository allows; `mlops_scoring.configuration.PicklePolicy` is one."""

    @property
    def formats(self) -> Collection[str]:
        """Of `joblib` and `pickle`; skops files hold no code, so that format needs no permission."""

    @property
    def classes(self) -> Collection[str]:
        """Full names, for example `sklearn.linear_model._base.LinearRegression`."""


_NUMPY_CORES = ("numpy.core", "numpy._core")

CONTAINERS = frozenset(
    {
        # A pickle of protocol 2 spells them as Python 2 did.
        *(
            f"{module}.{name}"
            for module in ("builtins", "__builtin__")
            for name in ("set", "frozenset", "complex", "bytearray", "range", "slice", "object", "bytes")
        ),
        *(f"builtins.{name}" for name in ("int", "float", "str", "bool", "tuple", "list", "dict")),
        "__builtin__.xrange",
        "copyreg._reconstructor",
        "copy_reg._reconstructor",
        "_codecs.encode",
        "collections.OrderedDict",
        "collections.defaultdict",
        "collections.deque",
        "datetime.date",
        "datetime.datetime",
        "datetime.timedelta",
        "decimal.Decimal",
        "fractions.Fraction",
        "uuid.UUID",
        "numpy.ndarray",
        "numpy.dtype",
        *(f"{core}.multiarray._reconstruct" for core in _NUMPY_CORES),
        *(f"{core}.multiarray.scalar" for core in _NUMPY_CORES),
        *(f"{core}.numeric._frombuffer" for core in _NUMPY_CORES),
        *(
            f"numpy.{kind}"
            for kind in ("bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
        ),
        *(f"numpy.{kind}" for kind in ("float16", "float32", "float64", "complex64", "complex128", "str_", "bytes_")),
        "joblib.numpy_pickle.NumpyArrayWrapper",
    }
)
"""Names that hold data and run nothing, allowed without being listed."""


FUNCTIONS = frozenset(
    {
        # They make one object of a class that the file names too; RandomState and Generator are in most ensembles.
        *(f"numpy.random._pickle.__{kind}_ctor" for kind in ("randomstate", "generator", "bit_generator")),
        *(
            f"sklearn.{module}.newObj"
            for module in ("neighbors._kd_tree", "neighbors._ball_tree", "metrics._dist_metrics")
        ),
        # They compute; estimators keep them as what to score features with, or to pool them.
        *(
            f"sklearn.feature_selection._univariate_selection.{name}"
            for name in ("chi2", "f_classif", "f_regression", "r_regression")
        ),
        *(f"sklearn.feature_selection._mutual_info.mutual_info_{kind}" for kind in ("classif", "regression")),
        *(f"sklearn.cluster._kmeans._kmeans_single_{name}" for name in ("elkan", "lloyd")),
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        *(f"numpy.{name}" for name in ("max", "mean", "median", "min", "sum")),
    }
)
"""Functions that may be listed beside classes; all others stay refused, because a pickle calls what it names."""


def problem_with(name: str, policy: Policy) -> str | None:
    """Why a name may not be imported; None when it may."""
    if name in CONTAINERS or name in policy.classes:
        return None
    return f"it holds {name}, which pickle_policy.classes does not list"


def resolvable(module: str, name: str) -> bool:
    """Whether a name is a plain one: dots in it would reach through a module to what was not listed."""
    return bool(module) and name.isidentifier() and all(part.isidentifier() for part in module.split("."))

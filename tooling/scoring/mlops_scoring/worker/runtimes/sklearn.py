"""scikit-learn estimators from skops, joblib or pickle files, without an entry script.

Only classes that the pickle policy names are made; see `mlops_scoring.pickles`.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_scoring import pickles
from mlops_scoring.configuration import Deployment
from mlops_scoring.worker.prediction import Array, Feed, Signature, Table, TensorSpec
from mlops_scoring.worker.runtimes import frames
from mlops_scoring.worker.runtimes.arrays import cast, check_shape
from mlops_scoring.worker.runtimes.batching import Run, batched
from mlops_scoring.worker.runtimes.finding import find_model
from mlops_scoring.worker.runtimes.named import check_names, named_values
from mlops_scoring.worker.runtimes.tables import matrix
from mlops_scoring.worker.runtimes.tabular import check_width, reordered, table_schema
from mlops_scoring.worker.scoring import Schema, StartFailed, Unfit

_log = logging.getLogger("mlops_scoring.worker")
_SHOWN = 200
_MATRIX = "X"
"""Name of the only input of an estimator that knows no names; any name is taken for it."""


@dataclass(frozen=True, slots=True)
class SklearnPredictor:
    """A loaded estimator.

    Attributes:
        run: Calls the methods that the outputs are called after.
        names: Feature names that it was fitted with, if any.
        width: How many features it takes, if it says so.
        pandas: The module, where the estimator has names and the environment has pandas.
    """

    run: Run
    estimator: Any
    numpy: Any
    names: tuple[str, ...] | None
    width: int | None
    pandas: Any
    signature: Signature

    def feed_table(self, table: Table) -> Feed:
        """Rows, with their columns in the estimator's order."""
        rows = table.rows if self.names is None else reordered(table, self.names)
        found = Table(rows, self.names if table.columns else None, table.where)
        if self.width is not None:
            check_width(found, self.width)
        if self.pandas is not None:
            frames.check_values(found)
            return self.pandas.DataFrame(rows, columns=list(self.names or ()))
        return matrix(self.numpy, found, self._matrix)

    @property
    def _matrix(self) -> TensorSpec:
        return TensorSpec(_MATRIX, "FP64", (-1, -1 if self.width is None else self.width))

    def feed_values(self, values: object, where: str) -> Feed:
        """Rows as nested lists, or columns by name."""
        if isinstance(values, dict) and self.names is not None:
            return self.feed_table(frames.table_of_columns(values, where))
        tensors, paths = named_values(self.numpy, values, (self._matrix,), where)
        return self._matrix_feed(tensors[_MATRIX], paths[_MATRIX])

    def feed_tensors(self, tensors: Mapping[str, Array], paths: Mapping[str, str]) -> Feed:
        """One matrix under any name, or the columns under theirs."""
        if self.names is not None and not (len(tensors) == 1 and not set(tensors) & set(self.names)):
            check_names(tensors, self.signature.inputs, paths, "inputs")
            columns = {name: frames.column(tensors[name], paths[name]) for name in self.names}
            frames.check_lengths(columns, paths)
            if self.pandas is not None:
                return self.pandas.DataFrame(columns)
            numbers = [self._numbers(found, paths[name]) for name, found in columns.items()]
            return self.numpy.column_stack(numbers)
        if len(tensors) != 1:
            raise Unfit("inputs: the model takes one, a matrix.")
        ((name, found),) = tensors.items()
        return self._matrix_feed(self._numbers(found, paths[name]), paths[name])

    def _matrix_feed(self, found: Array, where: str) -> Feed:
        check_shape(found.shape, self._matrix, where)
        return found if self.pandas is None else self.pandas.DataFrame(found, columns=list(self.names or ()))

    def _numbers(self, found: Array, where: str) -> Array:
        if found.dtype == object:
            raise Unfit(f"{where}.datatype: is BYTES; the model takes numbers.")
        return cast(self.numpy, found, "float64", where)

    def output_of(self, method: str) -> str:
        """The method of the estimator."""
        if not hasattr(self.estimator, method):
            raise Unfit(f"method: a {type(self.estimator).__name__} has no {method}.")
        return method

    def predict(self, feed: Feed, outputs: Sequence[str]) -> list[Any]:
        """Call the estimator; estimators do not take empty matrices."""
        if not len(feed):
            return [self._empty(output) for output in outputs]
        try:
            return self.run(feed, outputs)
        except (ValueError, TypeError, OverflowError) as error:
            # So estimators say that values are missing, of another type or unknown; the log has the rest.
            _log.warning("the estimator refuses its input", exc_info=error)
            reason = str(error).partition("\n")[0][:_SHOWN]
            place = frames.place_of(self.numpy, feed, reason)
            raise Unfit(f"data{place}: the model refuses it: {reason}") from None

    def _empty(self, output: str) -> Array:
        specs = [spec for spec in self.signature.outputs if spec.name == output]
        shape = [0, *(max(length, 0) for length in specs[0].shape[1:])] if specs else [0]
        return self.numpy.empty(shape, dtype=specs[0].dtype if specs else "float64")

    def plain(self, output: Any) -> object:  # noqa: ANN401 - an array or a list of arrays
        """Lists."""
        return self.numpy.asarray(output).tolist()

    def tensors(self, feed: Feed, outputs: Sequence[str]) -> Mapping[str, Array]:
        """Arrays of what the methods give."""
        found = map(self.numpy.asarray, self.predict(feed, outputs))
        return dict(zip(outputs, found, strict=True))

    def schema(self) -> Schema:
        """Width and names, as the estimator was fitted."""
        return table_schema(self.width, self.names, numeric=self.pandas is None)


def load_sklearn(directory: Path, deployment: Deployment) -> SklearnPredictor:
    """Load the estimator.

    Raises:
        StartFailed: No such file, not an estimator, refused by the policy, or a package is missing.
    """
    path = find_model(directory, (".skops", ".joblib", ".pkl", ".pickle"))
    try:
        numpy = importlib.import_module("numpy")
        importlib.import_module("sklearn")
        estimator = pickles.load(path, deployment.pickle_policy)
    except pickles.PickleRefused as refused:
        raise StartFailed(f"{path.name} is refused: {refused}") from None
    except ImportError as error:
        raise StartFailed(f"the environment lacks {error.name}; add it to the pip requirements") from None
    if not hasattr(estimator, "predict"):
        raise StartFailed(f"{path.name} holds a {type(estimator).__name__}, which cannot predict")
    found = getattr(estimator, "feature_names_in_", None)
    names = None if found is None else tuple(str(name) for name in found)
    width = getattr(estimator, "n_features_in_", None)

    def run(feed: Feed, outputs: Sequence[str]) -> list[Any]:
        return [getattr(estimator, output)(feed) for output in outputs]

    pandas = frames.pandas_if_there() if names else None
    signature = _signature(estimator, names, None if width is None else int(width))
    called = batched(run, deployment.batching)
    return SklearnPredictor(called, estimator, numpy, names, None if width is None else int(width), pandas, signature)


def _signature(estimator: Any, names: tuple[str, ...] | None, width: int | None) -> Signature:  # noqa: ANN401
    if names is None:
        inputs: tuple[TensorSpec, ...] = (TensorSpec(_MATRIX, "FP64", (-1, -1 if width is None else width)),)
    else:
        inputs = tuple(TensorSpec(name, "FP64", (-1, 1)) for name in names)
    classes = getattr(estimator, "classes_", None)
    kind = getattr(getattr(classes, "dtype", None), "kind", "f")
    labels = {"i": "INT64", "u": "UINT64", "b": "BOOL", "f": "FP64"}.get(kind, "BYTES")
    outputs = [TensorSpec("predict", labels, (-1,))]
    if hasattr(estimator, "predict_proba"):
        count = -1 if isinstance(classes, list) or classes is None else len(classes)
        outputs.append(TensorSpec("predict_proba", "FP64", (-1, count)))
    return Signature("sklearn_estimator", inputs, tuple(outputs), ("predict",))

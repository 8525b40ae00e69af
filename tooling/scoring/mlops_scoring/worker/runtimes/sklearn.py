"""scikit-learn estimators from skops, joblib or pickle files, without an entry script.

Only classes that the pickle policy names are made; see `mlops_scoring.pickles`.
"""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_scoring import pickles
from mlops_scoring.configuration import PicklePolicy
from mlops_scoring.worker.runtimes.finding import find_model
from mlops_scoring.worker.runtimes.tabular import Table, parse_table, predictions_answer, table_schema
from mlops_scoring.worker.scoring import Answer, Schema, ScoringRequest, StartFailed, Unfit


@dataclass(frozen=True, slots=True)
class SklearnScorer:
    """A loaded estimator.

    Attributes:
        names: Feature names that it was fitted with, if any.
        pandas: The module, where the estimator has names and the environment has pandas.
    """

    estimator: Any
    numpy: Any
    names: tuple[str, ...] | None
    pandas: Any

    def score(self, request: ScoringRequest) -> Answer:
        """Predict for the rows of a request."""
        table = parse_table(request)
        method = getattr(self.estimator, table.method, None)
        if method is None:
            raise Unfit(f"method: a {type(self.estimator).__name__} has no {table.method}.")
        matrix = self._matrix(table)
        if not table.rows:
            return predictions_answer([], 0)
        started = time.perf_counter()
        output = method(matrix)
        milliseconds = (time.perf_counter() - started) * 1000
        return predictions_answer(self.numpy.asarray(output).tolist(), milliseconds)

    def _matrix(self, table: Table) -> object:
        rows = table.rows if self.names is None else table.reordered(self.names)
        width = getattr(self.estimator, "n_features_in_", None)
        if width is not None:
            table.check_width(width)
        if self.pandas is not None:
            return self.pandas.DataFrame(rows, columns=list(self.names or ()))
        if any(isinstance(value, str | list | dict) for row in rows for value in row):
            raise table.blame(numeric=True, fallback="must be numbers.")
        return self.numpy.array(rows, dtype="float64")

    def schema(self) -> Schema:
        """Width and names, as the estimator was fitted."""
        return table_schema(getattr(self.estimator, "n_features_in_", None), self.names, numeric=self.pandas is None)


def load_sklearn(directory: Path, policy: PicklePolicy) -> SklearnScorer:
    """Load the estimator.

    Raises:
        StartFailed: No such file, not an estimator, refused by the policy, or a package is missing.
    """
    path = find_model(directory, (".skops", ".joblib", ".pkl", ".pickle"))
    try:
        numpy = importlib.import_module("numpy")
        importlib.import_module("sklearn")
        estimator = pickles.load(path, policy)
    except pickles.PickleRefused as refused:
        raise StartFailed(f"{path.name} is refused: {refused}") from None
    except ImportError as error:
        raise StartFailed(f"the environment lacks {error.name}; add it to the pip requirements") from None
    if not hasattr(estimator, "predict"):
        raise StartFailed(f"{path.name} holds a {type(estimator).__name__}, which cannot predict")
    found = getattr(estimator, "feature_names_in_", None)
    names = None if found is None else tuple(str(name) for name in found)
    return SklearnScorer(estimator, numpy, names, _pandas() if names else None)


def _pandas() -> Any:  # noqa: ANN401 - a module that is not installed where types are checked
    try:
        return importlib.import_module("pandas")
    except ImportError:
        return None

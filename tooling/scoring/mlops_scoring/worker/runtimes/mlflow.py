"""MLflow models (`python_function`) without an entry script.

The model directory was scanned before: MLflow itself unpickles without asking.
"""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_scoring.worker.runtimes.tabular import Table, parse_table, predictions_answer, table_schema
from mlops_scoring.worker.scoring import Answer, Schema, ScoringRequest, StartFailed, Unfit


@dataclass(frozen=True, slots=True)
class MlflowScorer:
    """A loaded model.

    Attributes:
        refused: MLflow's exception, raised for rows that do not fit the signature.
        names: Columns of the signature, if it has any.
    """

    model: Any
    pandas: Any
    refused: type[Exception]
    names: tuple[str, ...] | None

    def score(self, request: ScoringRequest) -> Answer:
        """Predict for the rows of a request; MLflow checks them against the signature."""
        table = parse_table(request)
        if table.method != "predict":
            raise Unfit("method: an MLflow model has predict only.")
        frame = self._frame(table)
        started = time.perf_counter()
        try:
            output = self.model.predict(frame)
        except self.refused as error:
            raise Unfit(f"{table.where}: {error}") from None
        milliseconds = (time.perf_counter() - started) * 1000
        return predictions_answer(_plain(output), milliseconds)

    def _frame(self, table: Table) -> object:
        # Columns that the client names are MLflow's to compare with the signature: some may be optional.
        columns = table.columns
        if columns is None and self.names is not None:
            table.check_width(len(self.names))
            columns = self.names
        return self.pandas.DataFrame(table.rows, columns=None if columns is None else list(columns))

    def schema(self) -> Schema:
        """The signature's columns."""
        return table_schema(len(self.names) if self.names else None, self.names, numeric=False)


def load_mlflow(directory: Path) -> MlflowScorer:
    """Load the model.

    Raises:
        StartFailed: No `MLmodel` file, or a package is missing.
    """
    found = sorted(directory.rglob("MLmodel"))
    if len(found) != 1:
        raise StartFailed(f"the model has {len(found)} MLmodel files; it needs exactly one")
    try:
        pyfunc = importlib.import_module("mlflow.pyfunc")
        pandas = importlib.import_module("pandas")
        refused = importlib.import_module("mlflow.exceptions").MlflowException
    except ImportError as error:
        raise StartFailed(f"the environment lacks {error.name}; add it to the pip requirements") from None
    model = pyfunc.load_model(str(found[0].parent))
    schema = model.metadata.get_input_schema()
    named = schema is not None and schema.has_input_names()
    names = tuple(str(name) for name in schema.input_names()) if named else None
    return MlflowScorer(model, pandas, refused, names)


def _plain(output: Any) -> object:  # noqa: ANN401 - whatever the flavour returns
    if hasattr(output, "to_dict") and hasattr(output, "columns"):
        return output.to_dict(orient="records")
    return output.tolist() if hasattr(output, "tolist") else output

"""ONNX models through onnxruntime, without an entry script.

`predict` gives the model's first output, which for a converted classifier is the labels. `predict_proba` gives the
second: a matrix, or the list of dictionaries that a ZipMap makes, in the order of the model's classes.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_scoring.worker.runtimes.finding import find_model
from mlops_scoring.worker.runtimes.tabular import Table, parse_table, predictions_answer, table_schema
from mlops_scoring.worker.scoring import Answer, Schema, ScoringRequest, StartFailed, Unfit

_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}


@dataclass(frozen=True, slots=True)
class Input:
    """One input of the model: its name, NumPy type, and width where the model fixes it."""

    name: str
    dtype: str
    width: int | None

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.dtype != "object"


@dataclass(frozen=True, slots=True)
class OnnxScorer:
    """A loaded session."""

    session: Any
    numpy: Any
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]

    def score(self, request: ScoringRequest) -> Answer:
        """Run the session on the rows of a request."""
        table = parse_table(request)
        feeds = self._feeds(table)
        place = 0 if table.method == "predict" else 1
        if place >= len(self.outputs):
            raise Unfit("method: this model has one output, and no probabilities.")
        started = time.perf_counter()
        (output,) = self.session.run([self.outputs[place]], feeds)
        milliseconds = (time.perf_counter() - started) * 1000
        return predictions_answer(_plain(output), milliseconds)

    def _feeds(self, table: Table) -> Mapping[str, object]:
        if len(self.inputs) == 1:
            return {self.inputs[0].name: self._matrix(table, self.inputs[0])}
        names = [found.name for found in self.inputs]
        rows = table.reordered(names)
        table.check_width(len(names))
        feeds = {}
        for place, found in enumerate(self.inputs):
            column = Table([[row[place]] for row in rows], (found.name,), table.where, table.method)
            feeds[found.name] = self._matrix(column, found)
        return feeds

    def _matrix(self, table: Table, found: Input) -> object:
        if found.width is not None:
            table.check_width(found.width)
        if not table.rows:
            return self.numpy.empty((0, found.width or 1), dtype=found.dtype)
        if not found.numeric:
            if not all(isinstance(value, str) for row in table.rows for value in row):
                raise table.blame(numeric=False, fallback="must be strings.")
            return self.numpy.array(table.rows, dtype=found.dtype)
        try:
            values = self.numpy.array(table.rows)
            # Conversion alone would take "5" for a number and cut 1.5 to 1.
            kinds = "biuf" if found.dtype.startswith("float") else "biu"
            if values.ndim == 2 and values.dtype.kind in kinds:
                return values.astype(found.dtype, copy=False)
            if kinds == "biuf" and table.has_gaps:
                return self.numpy.array(table.rows, dtype=found.dtype)
        except (ValueError, TypeError, OverflowError):
            pass
        raise table.blame(numeric=True, fallback=f"must be of type {found.dtype}.")

    def schema(self) -> Schema:
        """Width and names, as the model declares them."""
        if len(self.inputs) == 1:
            return table_schema(self.inputs[0].width, None, numeric=self.inputs[0].numeric)
        numeric = all(found.numeric for found in self.inputs)
        return table_schema(len(self.inputs), [found.name for found in self.inputs], numeric=numeric)


def load_onnx(directory: Path, concurrency: int) -> OnnxScorer:
    """Load the model; threads within one run are the processors divided by the runs at once.

    Raises:
        StartFailed: No such model, or one with inputs that are not rows; or the environment lacks onnxruntime.
    """
    path = find_model(directory, (".onnx",))
    try:
        runtime = importlib.import_module("onnxruntime")
        numpy = importlib.import_module("numpy")
    except ImportError as error:
        raise StartFailed(f"the environment lacks {error.name}; add it to the pip requirements") from None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = max(1, len(os.sched_getaffinity(0)) // concurrency)
    options.inter_op_num_threads = 1
    # Threads that spin between requests would take the processors of other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = tuple(_input(found) for found in session.get_inputs())
    if len(inputs) > 1 and any(found.width not in {None, 1} for found in inputs):
        raise StartFailed("the model has several inputs that are matrices; it needs an entry script")
    outputs = tuple(found.name for found in session.get_outputs())
    return OnnxScorer(session, numpy, inputs, outputs)


def _input(found: Any) -> Input:  # noqa: ANN401 - onnxruntime's NodeArg, which is not installed where types are checked
    dtype = _TYPES.get(found.type)
    if dtype is None or len(found.shape) != 2:
        raise StartFailed(f"the input {found.name} ({found.type}, {found.shape}) is not rows; it needs an entry script")
    width = found.shape[1]
    return Input(found.name, dtype, width if isinstance(width, int) else None)


def _plain(output: Any) -> object:  # noqa: ANN401 - an array, or what a ZipMap gives
    if isinstance(output, Sequence):
        return [list(row.values()) if isinstance(row, Mapping) else row for row in output]
    values = output.tolist()
    # A regressor's output is a column: one prediction for each row is what clients want.
    if output.ndim == 2 and output.shape[1] == 1:
        return [row[0] for row in values]
    return values

"""ONNX models through onnxruntime, without an entry script.

`predict` gives the model's first output, which for a converted classifier is the labels. `predict_proba` gives the
second: a matrix, or the list of dictionaries that a ZipMap makes, in the order of the model's classes.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_scoring.configuration import Deployment
from mlops_scoring.cpu_limit import cpu_limit
from mlops_scoring.worker.prediction import Array, Feed, Signature, Table, TensorSpec
from mlops_scoring.worker.runtimes import tables
from mlops_scoring.worker.runtimes.arrays import check_axes, check_shape
from mlops_scoring.worker.runtimes.batching import Run, batched
from mlops_scoring.worker.runtimes.finding import find_model
from mlops_scoring.worker.runtimes.named import match_tensors, named_values
from mlops_scoring.worker.runtimes.schemas import tensors_schema
from mlops_scoring.worker.runtimes.tabular import table_schema
from mlops_scoring.worker.scoring import Schema, StartFailed, Unfit

_TYPES = {
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(float16)": "FP16",
    "tensor(int64)": "INT64",
    "tensor(int32)": "INT32",
    "tensor(int16)": "INT16",
    "tensor(int8)": "INT8",
    "tensor(uint64)": "UINT64",
    "tensor(uint32)": "UINT32",
    "tensor(uint16)": "UINT16",
    "tensor(uint8)": "UINT8",
    "tensor(bool)": "BOOL",
    "tensor(string)": "BYTES",
    "seq(map(int64,tensor(float)))": "FP32",  # ZipMap; given as a matrix
    "seq(map(string,tensor(float)))": "FP32",
}


@dataclass(frozen=True, slots=True)
class OnnxPredictor:
    """A loaded session.

    Attributes:
        run: Calls the session.
        columnar: Whether each input is a column, so that rows can be divided among them.
    """

    run: Run
    numpy: Any
    signature: Signature
    columnar: bool

    @property
    def takes_rows(self) -> bool:
        """Whether its inputs are rows, or columns of them."""
        return self.columnar or (len(self.signature.inputs) == 1 and len(self.signature.inputs[0].shape) == 2)

    def feed_table(self, table: Table) -> Feed:
        """Rows for the only input, or divided among the inputs."""
        inputs = self.signature.inputs
        if len(inputs) == 1 and len(inputs[0].shape) == 2:
            return {inputs[0].name: tables.matrix(self.numpy, table, inputs[0])}
        if self.columnar:
            return tables.columns(self.numpy, table, inputs)
        if len(inputs) == 1:
            return self.feed_values(table.rows, table.where)
        raise Unfit(f"{table.where}: the model has inputs that are not columns; give each by its name.")

    def feed_values(self, values: object, where: str) -> Feed:
        """Nested lists, for the only input or by name."""
        tensors, paths = named_values(self.numpy, values, self.signature.inputs, where)
        return self.feed_tensors(tensors, paths)

    def feed_tensors(self, tensors: Mapping[str, Array], paths: Mapping[str, str]) -> Feed:
        """Arrays, compared with the model's inputs."""
        specs = self.signature.inputs
        feed = match_tensors(tensors, specs, paths)
        for spec in specs:
            check_shape(feed[spec.name].shape, spec, paths[spec.name])
        if len(specs) > 1:
            check_axes(feed, specs, paths)
        return feed

    def output_of(self, method: str) -> str:
        """The first output, or the second for probabilities."""
        place = 0 if method == "predict" else 1
        if place >= len(self.signature.outputs):
            raise Unfit("method: this model has one output, and no probabilities.")
        return self.signature.outputs[place].name

    def predict(self, feed: Feed, outputs: Sequence[str]) -> list[Any]:
        """Run the session."""
        return self.run(feed, outputs)

    def plain(self, output: Any) -> object:  # noqa: ANN401 - an array, or what a ZipMap gives
        """Lists; a regressor's column is one number for each row, as clients want it."""
        if isinstance(output, Sequence):
            return [list(row.values()) if isinstance(row, Mapping) else row for row in output]
        if output.ndim == 2 and output.shape[1] == 1:
            output = output[:, 0]
        return output.tolist()

    def tensors(self, feed: Feed, outputs: Sequence[str]) -> Mapping[str, Array]:
        """Arrays of what the session gives."""
        return dict(zip(outputs, map(self._array, self.run(feed, outputs)), strict=True))

    def _array(self, output: Any) -> Array:  # noqa: ANN401 - as in plain
        return self.numpy.array(self.plain(output)) if isinstance(output, Sequence) else output

    def schema(self) -> Schema:
        """Shapes and names, as the model declares them."""
        inputs = self.signature.inputs
        if not self.takes_rows:
            return tensors_schema(inputs)
        if len(inputs) == 1:
            width = inputs[0].shape[1]
            return table_schema(None if width == -1 else width, None, numeric=inputs[0].datatype != "BYTES")
        numeric = all(found.datatype != "BYTES" for found in inputs)
        return table_schema(len(inputs), [found.name for found in inputs], numeric=numeric)


def load_onnx(directory: Path, deployment: Deployment) -> OnnxPredictor:
    """Load the model.

    Raises:
        StartFailed: No such model, or one with inputs that are not tensors; or the environment lacks onnxruntime.
    """
    path = find_model(directory, (".onnx",))
    try:
        runtime = importlib.import_module("onnxruntime")
        numpy = importlib.import_module("numpy")
        state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    except ImportError as error:
        raise StartFailed(f"the environment lacks {error.name}; add it to the pip requirements") from None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads_of_a_run(deployment)
    options.inter_op_num_threads = 1
    # Threads that spin between requests would take the processors of other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = tuple(_spec(found) for found in session.get_inputs())
    outputs = tuple(_spec(found) for found in session.get_outputs())
    names = tuple(found.name for found in outputs)
    refused = (state.InvalidArgument,)

    def run(feed: Feed, wanted: Sequence[str]) -> list[Any]:
        try:
            found: list[Any] = session.run(list(wanted), feed)
        except refused as error:
            raise Unfit(f"inputs: the model refuses them: {str(error).split(' : ', 3)[-1]}") from None
        return found

    many = all(spec.shape and spec.shape[0] == -1 for spec in (*inputs, *outputs))
    columnar = len(inputs) > 1 and all(_is_column(spec) for spec in inputs)
    signature = Signature("onnxruntime_onnx", inputs, outputs, names)
    return OnnxPredictor(batched(run, deployment.batching, many), numpy, signature, columnar)


def threads_of_a_run(deployment: Deployment) -> int:
    """Threads within one call of the model: `OMP_NUM_THREADS`, or the CPUs divided by the calls at once."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if given.isdigit() and int(given) > 0:
        return int(given)
    batching = deployment.batching.max_batch_size > 1
    at_once = 1 if batching else deployment.request_settings.max_concurrent_requests_per_instance
    return max(1, cpu_limit() // at_once)


def _is_column(spec: TensorSpec) -> bool:
    return spec.shape in {(-1,), (-1, 1), (-1, -1), (1, 1)}


def _spec(found: Any) -> TensorSpec:  # noqa: ANN401 - onnxruntime's NodeArg, which is not installed where types are checked
    datatype = _TYPES.get(found.type)
    if datatype is None:
        raise StartFailed(f"the model's {found.name} is a {found.type}, which is not served; it needs an entry script")
    if found.type.startswith("seq"):
        return TensorSpec(found.name, datatype, (-1, -1))
    shape = tuple(length if isinstance(length, int) and length >= 0 else -1 for length in found.shape)
    axes = tuple(length if isinstance(length, str) else "" for length in found.shape)
    return TensorSpec(found.name, datatype, shape, axes)

"""What a model without an entry script is to the dialects: named tensors of known types in, named tensors out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mlops_scoring.worker.scoring import Schema

Array = Any
"""A `numpy.ndarray`; NumPy is the model's package and not installed where types are checked."""

Feed = Any
"""What a model is called with: arrays by name, one array, or a data frame; rows are along the first axis of each."""

DTYPES: Mapping[str, str] = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
"""NumPy types by the data types of the Open Inference Protocol; elements of BYTES are `str`."""

DATATYPES: Mapping[str, str] = {dtype: datatype for datatype, dtype in DTYPES.items()}
"""The other way round."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output.

    Attributes:
        datatype: A key of `DTYPES`.
        shape: Lengths of its axes; -1 is any length.
        axes: Names of the axes of any length, where the model names them; axes of one name are equally long.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    axes: tuple[str, ...] = ()

    @property
    def dtype(self) -> str:
        """The NumPy type."""
        return DTYPES[self.datatype]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and gives.

    Attributes:
        platform: The kind of model, as the Open Inference Protocol calls it: `project_format`.
        inputs: Empty where the model does not say.
        outputs: Those that can be asked for; empty where only an answer shows them.
        defaults: Names of the outputs that are given when none are asked for.
    """

    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    defaults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a request.

    Attributes:
        rows: Lists of equal length.
        columns: Their names, where the client gave them.
        where: Path of the rows in the request, for messages.
        columns_where: Path of the names.
    """

    rows: list[list[object]]
    columns: tuple[str, ...] | None
    where: str
    columns_where: str = "input_data.columns"


class Predictor(Protocol):
    """A loaded model. Whatever does not fit it is raised as `Unfit`, with the path of the field."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""

    def feed_table(self, table: Table) -> Feed:
        """Rows as the model takes them."""

    def feed_values(self, values: object, where: str) -> Feed:
        """Nested lists of the only input, or such lists by the names of the inputs."""

    def feed_tensors(self, tensors: Mapping[str, Array], paths: Mapping[str, str]) -> Feed:
        """Arrays by the names of the inputs; `paths` says where in the request each stands."""

    def output_of(self, method: str) -> str:
        """The output that answers `predict` or `predict_proba`."""

    def predict(self, feed: Feed, outputs: Sequence[str]) -> list[Any]:
        """Call the model; what it gives for each of these outputs, as it gives it."""

    def plain(self, output: Any) -> object:  # noqa: ANN401 - whatever the model gives
        """One output as a list with one prediction for each row."""

    def tensors(self, feed: Feed, outputs: Sequence[str]) -> Mapping[str, Array]:
        """Call the model; arrays by the names of the outputs."""

    def schema(self) -> Schema:
        """What swagger says of it."""

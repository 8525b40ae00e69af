"""MLflow models (`python_function`) without an entry script.

The model directory was scanned before: MLflow itself unpickles without asking.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_scoring.configuration import Deployment
from mlops_scoring.worker.prediction import DATATYPES, Array, Feed, Signature, Table, TensorSpec
from mlops_scoring.worker.runtimes import frames
from mlops_scoring.worker.runtimes.arrays import element_types
from mlops_scoring.worker.runtimes.batching import Run, batched
from mlops_scoring.worker.runtimes.mlflow_code import refuse_code
from mlops_scoring.worker.runtimes.named import check_names, named_values
from mlops_scoring.worker.runtimes.schemas import tensors_schema
from mlops_scoring.worker.runtimes.tabular import check_width, table_schema
from mlops_scoring.worker.scoring import Schema, StartFailed, Unfit

_log = logging.getLogger("mlops_scoring.worker")
_COLUMNS = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
}
"""Data types by MLflow's; everything else is BYTES."""

OUTPUT = "predictions"
"""Name of the only output, as it is asked for."""


@dataclass(frozen=True, slots=True)
class MlflowPredictor:
    """A loaded model.

    Attributes:
        call: Calls the model; there is one output, whatever is asked for. What MLflow refuses is its own exception.
        refused: That exception.
        model: The `PyFuncModel`.
        names: Columns of the signature, if it has columns.
        tensors_wanted: Whether the signature has tensors.
        cast: Gives a frame the types of the signature's columns, as MLflow's own server does.
    """

    call: Run
    refused: type[Exception]
    model: Any
    pandas: Any
    numpy: Any
    names: tuple[str, ...] | None
    tensors_wanted: bool
    signature: Signature
    cast: Callable[[Any], Any] | None

    def feed_table(self, table: Table) -> Feed:
        """A data frame; columns that the client names are MLflow's to compare, for some may be optional."""
        if self.tensors_wanted:
            return self.feed_values(table.rows, table.where)
        columns = table.columns
        if columns is None and self.names is not None:
            check_width(table, len(self.names))
            columns = self.names
        frames.check_columns(table, columns, self.signature.inputs)
        frame = self.pandas.DataFrame(table.rows, columns=None if columns is None else list(columns))
        try:
            return frame if self.cast is None else self.cast(frame)
        except self.refused as error:
            raise Unfit(f"{table.where}: {error}") from None

    def feed_values(self, values: object, where: str) -> Feed:
        """Nested lists, or columns by name."""
        if self.tensors_wanted:
            tensors, paths = named_values(self.numpy, values, self.signature.inputs, where)
            return self.feed_tensors(tensors, paths)
        if isinstance(values, dict):
            return self.feed_table(frames.table_of_columns(values, where))
        types = element_types(values)
        # NumPy would make every value as long as the longest text.
        try:
            return self.numpy.array(values, dtype=object if types is None or str in types else None)
        except (ValueError, TypeError, OverflowError):
            raise Unfit(f"{where}: lists of one depth must be equally long.") from None

    def feed_tensors(self, tensors: Mapping[str, Array], paths: Mapping[str, str]) -> Feed:
        """Arrays by name as columns or as they are; MLflow compares their types with the signature."""
        if self.tensors_wanted:
            check_names(tensors, self.signature.inputs, paths, "inputs")
            unnamed = len(tensors) == 1 and self.signature.inputs[0].name == "X"
            return next(iter(tensors.values())) if unnamed else dict(tensors)
        if len(tensors) == 1 and not (self.names and set(tensors) & set(self.names)):
            ((name, found),) = tensors.items()
            if found.ndim != 2:
                raise Unfit(f"{paths[name]}: must be a matrix; its shape is {list(found.shape)}.")
            return self.feed_table(Table(found.tolist(), None, paths[name]))
        columns = {name: frames.column(found, paths[name]) for name, found in tensors.items()}
        frames.check_lengths(columns, paths)
        return self.pandas.DataFrame(columns)

    def output_of(self, method: str) -> str:
        """The only one."""
        if method != "predict":
            raise Unfit("method: an MLflow model has predict only.")
        return OUTPUT

    def predict(self, feed: Feed, outputs: Sequence[str]) -> list[Any]:
        """Call the model; MLflow compares the feed with the signature."""
        try:
            return self.call(feed, outputs)
        except self.refused as error:
            raise Unfit(f"data: {error}") from None
        except (ValueError, TypeError, KeyError) as error:
            # MLflow's server has 400 for whatever a model raises; these are how models refuse their input.
            _log.warning("the model refuses its input", exc_info=error)
            raise Unfit("data: the model refuses it; the log has the reason.") from None

    def plain(self, output: Any) -> object:  # noqa: ANN401 - whatever the flavour returns
        """Lists, or records of a data frame."""
        if hasattr(output, "to_dict") and hasattr(output, "columns"):
            return output.to_dict(orient="records")
        return output.tolist() if hasattr(output, "tolist") else output

    def tensors(self, feed: Feed, outputs: Sequence[str]) -> Mapping[str, Array]:
        """Arrays by the names that the answer has."""
        (found,) = self.predict(feed, (OUTPUT,))
        if hasattr(found, "columns"):
            named = {str(name): found[name].to_numpy() for name in found.columns}
        elif isinstance(found, dict):
            named = {str(name): self.numpy.asarray(value) for name, value in found.items()}
        else:
            named = {OUTPUT: self.numpy.asarray(found)}
        for name in outputs:
            if name not in named:
                raise Unfit(f"outputs: the model has no output {name[:100]!r}; it gives {', '.join(named)}.")
        return {name: named[name] for name in outputs} if outputs else named

    def schema(self) -> Schema:
        """The signature's columns or tensors."""
        if self.tensors_wanted:
            return tensors_schema(self.signature.inputs)
        return table_schema(len(self.names) if self.names else None, self.names, numeric=False)


def load_mlflow(directory: Path, deployment: Deployment) -> MlflowPredictor:
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
        numpy = importlib.import_module("numpy")
        refused = importlib.import_module("mlflow.exceptions").MlflowException
    except ImportError as error:
        raise StartFailed(f"the environment lacks {error.name}; add it to the pip requirements") from None
    described = importlib.import_module("mlflow.models").Model.load(str(found[0].parent))
    refuse_code(described.flavors, deployment.pickle_policy)
    model = pyfunc.load_model(str(found[0].parent))

    def run(feed: Feed, outputs: Sequence[str]) -> list[Any]:
        del outputs
        return [model.predict(feed)]

    schema = model.metadata.get_input_schema()
    tensors = schema is not None and schema.is_tensor_spec()
    named = schema is not None and not tensors and schema.has_input_names()
    return MlflowPredictor(
        call=batched(run, deployment.batching),
        refused=refused,
        model=model,
        pandas=pandas,
        numpy=numpy,
        names=tuple(str(name) for name in schema.input_names()) if named else None,
        tensors_wanted=tensors,
        signature=Signature("mlflow_pyfunc", tuple(_specs(schema, tensors=tensors)), (), ()),
        cast=_cast(schema) if named else None,
    )


def _cast(schema: Any) -> Callable[[Any], Any] | None:  # noqa: ANN401 - mlflow.types.Schema
    module = importlib.import_module("mlflow.utils.proto_json_utils")
    cast: Callable[[Any, Any], Any] | None = getattr(module, "cast_df_types_according_to_schema", None)
    return None if cast is None else lambda frame: cast(frame, schema)


def _specs(schema: Any, *, tensors: bool) -> Sequence[TensorSpec]:  # noqa: ANN401 - mlflow.types.Schema
    if schema is None:
        return ()
    if tensors:
        return [
            TensorSpec(str(found.name or "X"), DATATYPES.get(str(found.type), "BYTES"), tuple(found.shape))
            for found in schema.inputs
        ]
    return [
        TensorSpec(
            str(place if found.name is None else found.name), _COLUMNS.get(_type_name(found.type), "BYTES"), (-1, 1)
        )
        for place, found in enumerate(schema.inputs)
    ]


def _type_name(kind: Any) -> str:  # noqa: ANN401 - mlflow.types.DataType, or a compound type
    return str(getattr(kind, "name", kind))

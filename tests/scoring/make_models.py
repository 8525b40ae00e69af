"""Trains small models and writes them in every format; run in the models' environment with a folder as argument.

Writes `expected.json`: a few rows, and what the models say to them.
"""

from __future__ import annotations

import importlib
import json
import pickle
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Write everything."""
    numpy, pandas, joblib = (importlib.import_module(name) for name in ("numpy", "pandas", "joblib"))
    ensemble, linear = (importlib.import_module(f"sklearn.{name}") for name in ("ensemble", "linear_model"))
    features, labels = importlib.import_module("sklearn.datasets").load_iris(return_X_y=True)
    names = numpy.array(["setosa", "versicolor", "virginica"])
    logistic = linear.LogisticRegression(max_iter=500).fit(features, labels)
    forest = ensemble.RandomForestClassifier(10, random_state=0).fit(features, names[labels])
    objects = linear.LogisticRegression(max_iter=500).fit(features, names[labels].astype(object))
    frame = pandas.DataFrame(features, columns=["a", "b", "c", "d"])
    named = linear.LinearRegression().fit(frame[["a", "b", "c"]], frame["d"])
    for name, model in {"logistic": logistic, "forest": forest, "objects": objects, "named": named}.items():
        (folder / name).mkdir()
        joblib.dump(model, folder / name / "model.joblib")
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(model))
        for kind in ("zlib", "gzip", "bz2", "xz", "lzma"):
            joblib.dump(model, folder / f"{name}.{kind}.joblib", compress=(kind, 3))
        (folder / f"{name}-skops").mkdir()
        importlib.import_module("skops.io").dump(model, folder / f"{name}-skops" / "model.skops")
    write_onnx(folder, logistic, named)
    write_echo(folder / "onnx-echo")
    write_counting(folder / "onnx-counting")
    mlflow = importlib.import_module("mlflow")
    signature = mlflow.models.infer_signature(frame[["a", "b", "c"]], named.predict(frame[["a", "b", "c"]]))
    mlflow.sklearn.save_model(named, str(folder / "mlflow"), signature=signature, pip_requirements=[])
    write_mlflow(folder)
    rows = features[[0, 60, 120]]
    expected = {
        "rows": rows.tolist(),
        "labels": logistic.predict(rows).tolist(),
        "probabilities": logistic.predict_proba(rows).tolist(),
        "species": forest.predict(rows).tolist(),
        "regression": named.predict(frame[["a", "b", "c"]].iloc[[0, 60, 120]]).tolist(),
    }
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    sys.stdout.write("null\n")


def write_onnx(folder: Path, logistic: object, named: object) -> None:
    """A classifier with and without ZipMap, a regressor, and one with an input for each column."""
    skl2onnx = importlib.import_module("skl2onnx")
    types = importlib.import_module("skl2onnx.common.data_types")
    pipeline = importlib.import_module("sklearn.pipeline").make_pipeline
    four = [("X", types.FloatTensorType([None, 4]))]
    columns = [(name, types.FloatTensorType([None, 1])) for name in ("a", "b", "c")]
    passing = importlib.import_module("sklearn.compose").ColumnTransformer([("all", "passthrough", ["a", "b", "c"])])
    frame = importlib.import_module("pandas").DataFrame(columns=["a", "b", "c"], data=[[0.0, 1.0, 2.0]])
    many = pipeline(passing.fit(frame), named)
    made = {
        "onnx": skl2onnx.to_onnx(logistic, initial_types=four, options={"zipmap": False}),
        "onnx-zipmap": skl2onnx.to_onnx(logistic, initial_types=four),
        "onnx-columns": skl2onnx.to_onnx(many, initial_types=columns),
    }
    for name, model in made.items():
        (folder / name).mkdir()
        (folder / name / "model.onnx").write_bytes(model.SerializeToString())


def write_mlflow(folder: Path) -> None:
    """Models of scikit-learn by MLflow: one with columns of several types and a parameter, one with a tensor.

    The first gives two numbers a row, of which the second is missing, and raises for texts other than "a" and "b".
    """
    mlflow, schema = importlib.import_module("mlflow"), importlib.import_module("mlflow.types.schema")
    numpy, pandas = importlib.import_module("numpy"), importlib.import_module("pandas")
    linear, compose = (importlib.import_module(f"sklearn.{name}") for name in ("linear_model", "compose"))
    encoder = importlib.import_module("sklearn.preprocessing").OneHotEncoder(sparse_output=False)
    frame = pandas.DataFrame(
        {"count": [1, 2, 3], "size": [0.5, 1, 2], "there": [True, False, True], "text": list("aba")}
    )
    prepare = compose.ColumnTransformer([("text", encoder, ["text"])], remainder="passthrough")
    regression = linear.LinearRegression()
    mixed = importlib.import_module("sklearn.pipeline").make_pipeline(prepare, regression)
    mixed.fit(frame, [[1.0, 0.0], [2.0, 1.0], [4.0, 0.0]])
    regression.intercept_[1] = numpy.nan
    matrix = linear.LinearRegression().fit([[1.0, 2.0], [3.0, 5.0], [4.0, 4.0]], [1.0, 2.0, 3.0])
    kinds = {"count": "long", "size": "double", "there": "boolean", "text": "string"}
    columns = schema.Schema([schema.ColSpec(kind, name) for name, kind in kinds.items()])
    tensor = schema.Schema([schema.TensorSpec(numpy.dtype("float64"), (-1, 2))])
    params = schema.ParamSchema([schema.ParamSpec("factor", "double", 1.0)])
    with_columns = mlflow.models.ModelSignature(inputs=columns, params=params)
    with_tensor = mlflow.models.ModelSignature(inputs=tensor)
    for name, model, signature in (("columns", mixed, with_columns), ("tensor", matrix, with_tensor)):
        mlflow.sklearn.save_model(model, str(folder / f"mlflow-{name}"), signature=signature, pip_requirements=[])


def write_counting(folder: Path) -> None:
    """An ONNX model that looks up ten numbers, fails for the eleventh, and tells how many it was asked for at once."""
    helper, kinds = (importlib.import_module("onnx").helper, importlib.import_module("onnx").TensorProto)
    numbers = helper.make_tensor("numbers", kinds.FLOAT, [10], [float(number * number) for number in range(10)])
    nodes = [
        helper.make_node("Gather", ["numbers", "index"], ["value"]),
        helper.make_node("Shape", ["index"], ["length"]),
        helper.make_node("Expand", ["length", "length"], ["together"]),
    ]
    told = helper.make_tensor_value_info
    outputs = [told("value", kinds.FLOAT, ["batch"]), told("together", kinds.INT64, ["batch"])]
    graph = helper.make_graph(nodes, "counting", [told("index", kinds.INT64, ["batch"])], outputs, [numbers])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def write_echo(folder: Path) -> None:
    """An ONNX model that gives back its inputs, of every type and of ranks 1 to 3."""
    helper, kinds = (importlib.import_module("onnx").helper, importlib.import_module("onnx").TensorProto)
    shapes = {
        "FLOAT": ["batch", 2, 3],
        "DOUBLE": ["batch", 2],
        "FLOAT16": ["batch"],
        "INT64": ["batch"],
        "INT32": ["batch"],
        "INT16": ["batch"],
        "INT8": ["batch"],
        "UINT64": ["batch"],
        "UINT32": ["batch"],
        "UINT16": ["batch"],
        "UINT8": ["batch"],
        "BOOL": ["batch"],
        "STRING": ["batch", 2],
    }

    def told(name: str, suffix: str) -> object:
        return helper.make_tensor_value_info(f"{name.lower()}{suffix}", getattr(kinds, name), shapes[name])

    nodes = [helper.make_node("Identity", [name.lower()], [f"{name.lower()}_out"]) for name in shapes]
    inputs, outputs = [told(name, "") for name in shapes], [told(name, "_out") for name in shapes]
    graph = helper.make_graph(nodes, "echo", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

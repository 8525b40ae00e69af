"""Models without an entry script: ONNX, scikit-learn, MLflow; answers compared with what the models say themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.scoring.rig import Worker, await_truth, launch_worker, make_deployment
from tests.scoring.serving_models import CLASSES, ModelWorkers, ServeModel


@pytest.fixture(scope="module")
def serve(served: ModelWorkers) -> ServeModel:
    """Serves a model of the session; each is started once."""
    return served.serve


@pytest.fixture(scope="module")
def expected(models: Path) -> Any:  # noqa: ANN401 - JSON
    return json.loads((models / "expected.json").read_bytes())


def ask(worker: Worker, **body: object) -> Any:  # noqa: ANN401 - JSON
    answer = worker.ask(json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status == 200, answer
    return answer.json


@pytest.mark.parametrize("name", ["onnx", "onnx-zipmap"])
def test_onnx_classifiers_give_labels_and_on_demand_probabilities(serve: ServeModel, expected: Any, name: str) -> None:  # noqa: ANN401
    worker = serve("onnx", name)
    assert ask(worker, data=expected["rows"]) == expected["labels"]
    split = {"columns": [0, 1, 2, 3], "index": [5, 6, 7], "data": expected["rows"]}
    assert ask(worker, input_data=split) == expected["labels"]
    assert ask(worker, input_data=expected["rows"]) == expected["labels"]
    probabilities = ask(worker, data=expected["rows"], method="predict_proba")
    assert probabilities == [pytest.approx(row, abs=1e-5) for row in expected["probabilities"]]
    assert ask(worker, data=[]) == []
    assert len(ask(worker, data=[[1, 2, 3, None]])) == 1  # null is a missing value


def test_onnx_with_an_input_for_each_column_takes_them_by_name(serve: ServeModel, expected: Any) -> None:  # noqa: ANN401
    worker = serve("onnx", "onnx-columns")
    rows = [row[:3] for row in expected["rows"]]
    close = pytest.approx(expected["regression"], abs=1e-4)
    assert ask(worker, data=rows) == close
    backwards = [list(reversed(row)) for row in rows]
    assert ask(worker, input_data={"columns": ["c", "b", "a"], "data": backwards}) == close


@pytest.mark.parametrize("name", ["logistic", "logistic-skops"])
def test_sklearn_classifiers(serve: ServeModel, expected: Any, name: str) -> None:  # noqa: ANN401
    worker = serve("sklearn", name)
    assert ask(worker, data=expected["rows"]) == expected["labels"]
    probabilities = ask(worker, data=expected["rows"], method="predict_proba")
    assert probabilities == [pytest.approx(row) for row in expected["probabilities"]]


@pytest.mark.parametrize("name", ["forest", "forest-skops", "objects", "objects-skops"])
def test_sklearn_with_trees_and_with_labels_of_strings_and_objects(serve: ServeModel, expected: Any, name: str) -> None:  # noqa: ANN401
    worker = serve("sklearn", name)
    assert ask(worker, data=expected["rows"]) == expected["species"]


@pytest.mark.parametrize("runtime", ["sklearn", "mlflow"])
def test_named_columns_are_put_in_order(serve: ServeModel, expected: Any, runtime: str) -> None:  # noqa: ANN401
    worker = serve(runtime, "named" if runtime == "sklearn" else "mlflow")
    rows = [row[:3] for row in expected["rows"]]
    assert ask(worker, input_data={"columns": ["a", "b", "c"], "data": rows}) == pytest.approx(expected["regression"])
    assert ask(worker, data=rows) == pytest.approx(expected["regression"])
    backwards = [list(reversed(row)) for row in rows]
    assert ask(worker, input_data={"columns": ["c", "b", "a"], "data": backwards}) == pytest.approx(
        expected["regression"]
    )


ECHO = {
    "float": [[[1, 2.5, None], [4, 5, 6]]],
    "double": [[1e300, -1]],
    "float16": [0.5],
    "int64": [-(2**63)],
    "int32": [-(2**31)],
    "int16": [-(2**15)],
    "int8": [-128],
    "uint64": [2**64 - 1],
    "uint32": [2**32 - 1],
    "uint16": [2**16 - 1],
    "uint8": [255],
    "bool": [True],
    "string": [["a", "\u00e4"]],
}
"""A row for each input of the echoing model; some at the end of their type."""

SPLIT = {"columns": ["a", "b", "c"], "index": [0], "data": [[1, 2, 3]]}


@pytest.mark.parametrize(
    ("model", "body", "message"),
    [
        ("onnx", {"data": [[1, 2, 3]]}, "data[0]: has 3 values; the model takes 4."),
        ("onnx", {"data": [[1, 2, 3, 4], [1, 2]]}, "data[1]: has 2 values; the first row has 4."),
        ("onnx", {"data": [[1, 2, 3, "x"]]}, 'data[0][3]: must be a number; it is "x".'),
        ("onnx", {"data": [[1, 2, 3, "4"]]}, 'data[0][3]: must be a number; it is "4".'),
        ("onnx", {"data": [[1, 2, "x", None]]}, 'data[0][2]: must be a number; it is "x".'),
        ("onnx", {"data": [[1, 2, 3, [4]]]}, "data[0][3]: must be a number; it is [4]."),
        ("onnx", {"data": [1, 2, 3, 4]}, "data[0]: must be a list of values."),
        ("onnx", {"data": "x"}, "data: must be a list of rows."),
        ("onnx", {}, "data: a request has either 'data' or 'input_data'."),
        ("onnx", {"data": [], "input_data": []}, "data: a request has either 'data' or 'input_data'."),
        ("onnx", {"rows": []}, "rows: is not a field of a request; it has 'data' or 'input_data'."),
        ("onnx", {"data": [], "method": "fit"}, "method: must be one of predict, predict_proba."),
        ("onnx-columns", {"data": [[1, 2, 3]], "method": "predict_proba"}, "method: this model has one output"),
        ("onnx-columns", {"input_data": {**SPLIT, "columns": ["a", "b", "x"]}}, "input_data.columns: 'c' is missing"),
        ("named", {"input_data": {**SPLIT, "columns": ["a", "b"]}}, "input_data.data[0]: has 3 values; there are 2"),
        ("named", {"input_data": {**SPLIT, "index": []}}, "input_data.index: must have one entry for each of the 1"),
        ("named", {"input_data": {"columns": [], "data": 1}}, "input_data.data: must be a list of rows."),
        ("named", {"input_data": 1}, "input_data: must be an object with 'columns' and 'data', or rows."),
        ("named", {"input_data": {"columns": list("abcd"), "data": [[1, 2, 3, 4]]}}, "has no input 'd'"),
        ("named", {"data": [[1, 2, 3]], "method": "predict_proba"}, "method: a LinearRegression has no predict_proba."),
        ("logistic", {"data": [[1, 2, 3, "x"]]}, 'data[0][3]: must be a number; it is "x".'),
        ("mlflow", {"input_data": {**SPLIT, "columns": ["a", "b", "x"]}}, "c"),
        ("mlflow", {"data": [[1, 2]]}, "data[0]: has 2 values; the model takes 3."),
        ("mlflow", {"data": [[1, 2, "x"]]}, "data[0]['c']: must be a number; it is \"x\"."),
        ("mlflow", {"inputs": [[1, 2], [3]]}, "inputs: lists of one depth must be equally long."),
        ("mlflow", {"data": []}, "data: the model refuses it; the log has the reason."),
        (
            "logistic",
            {"data": [[1, 2, 3, 4], [1, 2, None, 4]]},
            "data[1][2]: the model refuses it: Input X contains NaN.",
        ),
        ("named", {"data": [[1, 2, None]]}, "data[0]['c']: the model refuses it: Input X contains NaN."),
        (
            "named",
            {"data": [[1, 2, "x"]]},
            "data[0]['c']: the model refuses it: could not convert string to float: 'x'",
        ),
        ("named", {"data": [[1, 2, [3]]]}, "data[0][2]: must be one value, not a list or an object."),
        ("named", {"data": [[1, 2, 10**400]]}, "data: the model refuses it: int too large"),
        ("onnx-counting", {"data": [99]}, "inputs: the model refuses them: Non-zero status code"),
        ("onnx-echo", {"inputs": {**ECHO, "string": [["a", "\ud800"]]}}, "inputs.string: has half of a surrogate pair"),
    ],
)
def test_a_request_that_does_not_fit_is_400_with_the_field(
    serve: ServeModel, model: str, body: object, message: str
) -> None:
    runtime = {"logistic": "sklearn", "named": "sklearn", "mlflow": "mlflow"}.get(model, "onnx")
    answer = serve(runtime, model).ask(json.dumps(body))
    assert answer.status == 400, answer
    assert message in answer.json["message"]


@pytest.mark.parametrize(("body", "message"), [("{", "could not be decoded as JSON"), ("[]", "should be a JSON dict")])
def test_what_is_not_a_json_object_is_400(serve: ServeModel, body: str, message: str) -> None:
    answer = serve("onnx", "onnx").ask(body)
    assert (answer.status, message in answer.json["message"]) == (400, True)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_onnx_with_many_inputs_of_every_type_and_rank_takes_them_by_name(serve: ServeModel, method: str) -> None:
    output = ask(serve("onnx", "onnx-echo"), inputs=ECHO, method=method)
    assert output == ECHO["float" if method == "predict" else "double"]


def test_onnx_with_one_input_of_another_rank_takes_nested_data(serve: ServeModel) -> None:
    worker = serve("onnx", "onnx-counting")
    assert ask(worker, data=[1, 2, 3]) == [1, 4, 9]
    assert ask(worker, inputs={"index": [1, 2, 3]}, method="predict_proba") == [3, 3, 3]
    assert (
        worker.ask(json.dumps({"data": [[1]]})).json["message"].startswith("data: has 2 dimensions; the model takes 1")
    )
    assert (
        worker.ask(json.dumps({"input_data": [[1]]})).json["message"].startswith("input_data: the model does not take")
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"float": [[[1, 2, 3]]]}, "inputs.float: has 1 values along axis 1; the model takes 2."),
        ({"float": [[1, 2]]}, "inputs.float: has 2 dimensions; the model takes 3, [-1, 2, 3]."),
        ({"float": [[[1, 2, "3"], [4, 5, 6]]]}, 'inputs.float[0][0][2]: must be a number; it is "3".'),
        ({"float": [[[1, 2, 1e300], [4, 5, 6]]]}, "inputs.float: has a number that is out of the range of float32."),
        ({"float16": [70000]}, "inputs.float16: has a number that is out of the range of float16."),
        ({"int8": [128]}, "inputs.int8: has a number that is out of the range of int8, -128 to 127."),
        ({"uint8": [-1]}, "inputs.uint8: has a number that is out of the range of uint8, 0 to 255."),
        ({"uint64": [-1]}, "inputs.uint64: has a number that is out of the range of uint64"),
        ({"uint64": [2**64]}, "inputs.uint64: has a number that is out of the range of uint64"),
        ({"int64": [2**63]}, "inputs.int64: has a number that is out of the range of int64"),
        ({"int64": [1.5]}, "inputs.int64[0]: must be a whole number; it is 1.5."),
        ({"int64": [None]}, "inputs.int64[0]: must be a whole number; it is null."),
        ({"bool": [2]}, "inputs.bool: has a number that is out of the range of bool, 0 to 1."),
        ({"bool": ["true"]}, 'inputs.bool[0]: must be true or false; it is "true".'),
        ({"string": [["a", 1]]}, "inputs.string[0][1]: must be a string; it is 1."),
        ({"string": [["a"], ["b"]]}, "inputs.string: has 1 values along axis 1; the model takes 2."),
        ({"string": [["a", "b"], ["c"]]}, "inputs.string[1]: has 1 values; the first has 2."),
        ({"bool": [True, True]}, "inputs.bool: its axis 'batch' has length 2; that of 'float' has 1."),
        ({"other": [1]}, "inputs.other: the model has no input 'other'; it takes float, double,"),
    ],
)
def test_an_input_that_does_not_fit_is_400_with_its_path(
    serve: ServeModel, changes: dict[str, object], message: str
) -> None:
    answer = serve("onnx", "onnx-echo").ask(json.dumps({"inputs": ECHO | changes}))
    assert (answer.status, answer.json["message"][: len(message)]) == (400, message)


def test_an_input_that_is_missing_is_named(serve: ServeModel) -> None:
    given = {name: value for name, value in ECHO.items() if name != "int8"}
    answer = serve("onnx", "onnx-echo").ask(json.dumps({"inputs": given}))
    assert (answer.status, answer.json["message"][:25]) == (400, "inputs: 'int8' is missing")


@pytest.mark.parametrize(
    ("threads", "concurrency", "expected"), [("1", 1, 1), ("3", 1, 3), ("", 100, 1), ("x", 100, 1)]
)
def test_a_session_has_the_threads_that_are_asked_for(
    serve: ServeModel, threads: str, concurrency: int, expected: int
) -> None:
    """Threads of a session are the process's beyond those that a session of one thread has."""

    def ask_one(**variables: str) -> Callable[[], int]:
        limits = {"max_concurrent_requests_per_instance": concurrency}
        variables["OPENBLAS_NUM_THREADS"] = "1"  # NumPy's own threads
        worker = serve("onnx", "onnx", environment_variables=variables, request_settings=limits)
        assert worker.ask(json.dumps({"data": [[1, 2, 3, 4]]})).status == 200
        return lambda: len(list(Path(f"/proc/{worker.process.pid}/task").iterdir()))

    found, single = ask_one(OMP_NUM_THREADS=threads), ask_one(OMP_NUM_THREADS="1")
    await_truth(lambda: found() - single() == expected - 1, "no other thread is about to begin or to end")


def test_whole_numbers_are_taken_for_others_by_mlflow_models(serve: ServeModel) -> None:
    assert len(ask(serve("mlflow", "mlflow"), data=[[1, 2, 3]])) == 1
    assert len(ask(serve("mlflow", "mlflow"), inputs={"c": [1], "b": [2], "a": [3]})) == 1
    assert len(ask(serve("mlflow", "mlflow-tensor"), data=[[1, 2]])) == 1


def test_swagger_shows_tensors(serve: ServeModel) -> None:
    schema = serve("onnx", "onnx-echo").ask(None, "GET", "/swagger.json").json["definitions"]["ServiceInput"]
    inputs = schema["properties"]["inputs"]["properties"]
    assert inputs["float"]["items"]["minItems"] == 2
    assert inputs["string"]["items"]["items"] == {"type": "string"}
    assert inputs["bool"]["items"] == {"type": "boolean"}
    assert schema["example"]["inputs"]["float"] == [[[0, 0, 0], [0, 0, 0]]]


def test_swagger_comes_from_the_model(serve: ServeModel) -> None:
    schema = serve("onnx", "onnx").ask(None, "GET", "/swagger.json").json["definitions"]["ServiceInput"]
    assert schema["properties"]["data"]["items"] | {"items": {}} == {
        "type": "array",
        "items": {},
        "minItems": 4,
        "maxItems": 4,
    }
    named = serve("sklearn", "named").ask(None, "GET", "/swagger.json?version=3").json
    input_data = named["components"]["schemas"]["ServiceInput"]["properties"]["input_data"]
    assert input_data["example"]["columns"] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("runtime", "files", "reason"),
    [
        ("onnx", {}, "the model has no *.onnx file"),
        ("onnx", {"a.onnx": b"", "b.onnx": b""}, "call the one to serve 'model.onnx'"),
        ("onnx", {"model.onnx": b"no model"}, "model.onnx"),
        ("sklearn", {}, "the model has no *.skops or *.joblib or *.pkl or *.pickle file"),
        ("mlflow", {"x.txt": b""}, "the model has 0 MLmodel files"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why(
    models_python: Path, short_path: Path, runtime: str, files: dict[str, bytes], reason: str
) -> None:
    directory = short_path / "model"
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_bytes(content)
    deployment = make_deployment(python=str(models_python), runtime=runtime, model_directory=str(directory))
    worker, announced = launch_worker(short_path / "w", deployment)
    assert worker.process.wait(60) == 3
    assert reason in announced["reason"]


def test_an_environment_without_the_package_says_which(short_path: Path) -> None:
    (short_path / "model.onnx").write_bytes(b"")
    worker, announced = launch_worker(
        short_path / "w", make_deployment(runtime="onnx", model_directory=str(short_path))
    )
    assert worker.process.wait(60) == 3
    assert announced["reason"] == "the environment lacks onnxruntime; add it to the pip requirements"


def test_a_refused_pickle_ends_the_start_and_names_what_to_allow(
    models_python: Path, models: Path, short_path: Path
) -> None:
    policy = {"formats": ["joblib"], "classes": CLASSES["forest"][1:]}
    deployment = make_deployment(
        python=str(models_python), runtime="sklearn", model_directory=str(models / "forest"), pickle_policy=policy
    )
    worker, announced = launch_worker(short_path, deployment)
    assert worker.process.wait(60) == 3
    assert announced["reason"] == (
        "model.joblib is refused: it holds sklearn.ensemble._forest.RandomForestClassifier, "
        "which pickle_policy.classes does not list"
    )

"""Models without an entry script: ONNX, scikit-learn, MLflow; answers compared with what the models say themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.scoring.rig import Worker, launch_worker, make_deployment

Serve = Callable[..., Worker]

CLASSES = {
    "logistic": ["sklearn.linear_model._logistic.LogisticRegression"],
    "objects": ["sklearn.linear_model._logistic.LogisticRegression"],
    "named": ["sklearn.linear_model._base.LinearRegression"],
    "forest": [
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._tree.Tree",
    ],
}


@pytest.fixture(scope="module")
def serve(models_python: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serves a model of the session; each is started once."""
    workers: dict[str, Worker] = {}

    def start(runtime: str, name: str, classes: tuple[str, ...] | list[str] = ()) -> Worker:
        if name not in workers:
            directory = models / name
            files = {
                str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in directory.rglob("*")
                if path.is_file()
            }
            deployment = make_deployment(
                python=str(models_python),
                runtime=runtime,
                model_directory=str(directory),
                model_files=files,
                pickle_policy={"formats": ["joblib"], "classes": list(classes)},
            )
            worker, announced = launch_worker(tmp_path_factory.mktemp("w"), deployment)
            workers[name] = worker
            assert announced == {"event": "ready"}, (announced, worker.log())
        return workers[name]

    yield start
    for worker in workers.values():
        worker.process.kill()
        worker.process.wait()


@pytest.fixture(scope="module")
def expected(models: Path) -> Any:  # noqa: ANN401 - JSON
    return json.loads((models / "expected.json").read_bytes())


def ask(worker: Worker, **body: object) -> Any:  # noqa: ANN401 - JSON
    answer = worker.ask(json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status == 200, answer
    return answer.json


@pytest.mark.parametrize("name", ["onnx", "onnx-zipmap"])
def test_onnx_classifiers_give_labels_and_on_demand_probabilities(serve: Serve, expected: Any, name: str) -> None:  # noqa: ANN401
    worker = serve("onnx", name)
    assert ask(worker, data=expected["rows"]) == expected["labels"]
    split = {"columns": [0, 1, 2, 3], "index": [5, 6, 7], "data": expected["rows"]}
    assert ask(worker, input_data=split) == expected["labels"]
    assert ask(worker, input_data=expected["rows"]) == expected["labels"]
    probabilities = ask(worker, data=expected["rows"], method="predict_proba")
    assert probabilities == [pytest.approx(row, abs=1e-5) for row in expected["probabilities"]]
    assert ask(worker, data=[]) == []
    assert len(ask(worker, data=[[1, 2, 3, None]])) == 1  # null is a missing value


def test_onnx_with_an_input_for_each_column_takes_them_by_name(serve: Serve, expected: Any) -> None:  # noqa: ANN401
    worker = serve("onnx", "onnx-columns")
    rows = [row[:3] for row in expected["rows"]]
    close = pytest.approx(expected["regression"], abs=1e-4)
    assert ask(worker, data=rows) == close
    backwards = [list(reversed(row)) for row in rows]
    assert ask(worker, input_data={"columns": ["c", "b", "a"], "data": backwards}) == close


@pytest.mark.parametrize("name", ["logistic", "logistic-skops"])
def test_sklearn_classifiers(serve: Serve, expected: Any, name: str) -> None:  # noqa: ANN401
    worker = serve("sklearn", name, CLASSES["logistic"])
    assert ask(worker, data=expected["rows"]) == expected["labels"]
    probabilities = ask(worker, data=expected["rows"], method="predict_proba")
    assert probabilities == [pytest.approx(row) for row in expected["probabilities"]]


@pytest.mark.parametrize("name", ["forest", "forest-skops", "objects", "objects-skops"])
def test_sklearn_with_trees_and_with_labels_of_strings_and_objects(serve: Serve, expected: Any, name: str) -> None:  # noqa: ANN401
    worker = serve("sklearn", name, CLASSES[name.partition("-")[0]])
    assert ask(worker, data=expected["rows"]) == expected["species"]


@pytest.mark.parametrize("runtime", ["sklearn", "mlflow"])
def test_named_columns_are_put_in_order(serve: Serve, expected: Any, runtime: str) -> None:  # noqa: ANN401
    worker = serve(runtime, "named" if runtime == "sklearn" else "mlflow", CLASSES["named"])
    rows = [row[:3] for row in expected["rows"]]
    assert ask(worker, input_data={"columns": ["a", "b", "c"], "data": rows}) == pytest.approx(expected["regression"])
    assert ask(worker, data=rows) == pytest.approx(expected["regression"])
    backwards = [list(reversed(row)) for row in rows]
    assert ask(worker, input_data={"columns": ["c", "b", "a"], "data": backwards}) == pytest.approx(
        expected["regression"]
    )


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
    ],
)
def test_a_request_that_does_not_fit_is_400_with_the_field(
    serve: Serve, model: str, body: object, message: str
) -> None:
    runtime = {"logistic": "sklearn", "named": "sklearn", "mlflow": "mlflow"}.get(model, "onnx")
    answer = serve(runtime, model, CLASSES.get(model, ())).ask(json.dumps(body))
    assert answer.status == 400, answer
    assert message in answer.json["message"]


@pytest.mark.parametrize(("body", "message"), [("{", "could not be decoded as JSON"), ("[]", "should be a JSON dict")])
def test_what_is_not_a_json_object_is_400(serve: Serve, body: str, message: str) -> None:
    answer = serve("onnx", "onnx").ask(body)
    assert (answer.status, message in answer.json["message"]) == (400, True)


def test_swagger_comes_from_the_model(serve: Serve) -> None:
    schema = serve("onnx", "onnx").ask(None, "GET", "/swagger.json").json["definitions"]["ServiceInput"]
    assert schema["properties"]["data"]["items"] | {"items": {}} == {
        "type": "array",
        "items": {},
        "minItems": 4,
        "maxItems": 4,
    }
    named = serve("sklearn", "named", CLASSES["named"]).ask(None, "GET", "/swagger.json?version=3").json
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
    assert worker.process.wait(30) == 3
    assert reason in announced["reason"]


def test_an_environment_without_the_package_says_which(short_path: Path) -> None:
    (short_path / "model.onnx").write_bytes(b"")
    worker, announced = launch_worker(
        short_path / "w", make_deployment(runtime="onnx", model_directory=str(short_path))
    )
    assert worker.process.wait(30) == 3
    assert announced["reason"] == "the environment lacks onnxruntime; add it to the pip requirements"


def test_a_refused_pickle_ends_the_start_and_names_what_to_allow(
    models_python: Path, models: Path, short_path: Path
) -> None:
    policy = {"formats": ["joblib"], "classes": CLASSES["forest"][1:]}
    deployment = make_deployment(
        python=str(models_python), runtime="sklearn", model_directory=str(models / "forest"), pickle_policy=policy
    )
    worker, announced = launch_worker(short_path, deployment)
    assert worker.process.wait(30) == 3
    assert announced["reason"] == (
        "model.joblib is refused: it holds sklearn.ensemble._forest.RandomForestClassifier, "
        "which pickle_policy.classes does not list"
    )

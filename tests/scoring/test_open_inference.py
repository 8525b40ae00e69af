"""The Open Inference Protocol: asked by Triton's client, by hand, and by whoever means ill."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.scoring.conftest import StartWorker
from tests.scoring.environments import TRITON, make_environment, run_in
from tests.scoring.rig import Answer, Supervised, Worker
from tests.scoring.serving_models import ModelWorkers


def infer(
    worker: Worker, model: str, body: object, binary: bytes = b"", headers: Mapping[str, str] | None = None
) -> Answer:
    """Ask by hand."""
    head = json.dumps(body).encode()
    length = {"Inference-Header-Content-Length": str(len(head))} if binary else {}
    return worker.ask(head + binary, path=f"/v2/models/{model}/infer", headers={**length, **(headers or {})})


def matrix(*rows: object, name: str = "X", datatype: str = "FP32", **more: object) -> dict[str, object]:
    """A request with one matrix."""
    shape = [len(rows), len(rows[0]) if rows and isinstance(rows[0], list) else 4]
    return {"inputs": [{"name": name, "datatype": datatype, "shape": shape, "data": list(rows)}], **more}


def test_tritons_client_works_through_the_gateway(
    served: ModelWorkers, supervised: Supervised, test_cache: Path
) -> None:
    deployment = served.deployment("onnx", "onnx-echo")
    supervised.start(supervised.document({"blue-1": deployment}, {"blue-1": 100}))
    supervised.await_state("blue-1", "Healthy")
    program = Path(__file__).with_name("triton_calls.py").read_text(encoding="utf-8")
    told = run_in(make_environment(test_cache, TRITON), program, str(supervised.port))
    assert {key: told[key] for key in ("live", "ready", "model ready", "version ready")} == dict.fromkeys(
        ("live", "ready", "model ready", "version ready"), True
    )
    assert told["another ready"] is False
    assert told["server"]["extensions"] == ["binary_tensor_data"]
    assert (told["metadata"]["name"], told["metadata"]["versions"]) == ("onnx-echo", ["7"])
    described = {found["name"]: (found["datatype"], found["shape"]) for found in told["metadata"]["inputs"]}
    assert described["float"] == ("FP32", [-1, 2, 3])
    assert described["string"] == ("BYTES", [-1, 2])
    assert len(described) == 13
    for way in (told["binary"], told["json"], *told["compressed"].values()):
        assert way == dict.fromkeys(described, True)
    assert told["all"] == 13
    assert told["errors"] == [
        ["400", pytest.approx(told["errors"][0][1])],
        ["404", "There is no model 'nobody' here; there is 'onnx-echo'."],
    ]
    assert "'float' is missing" in told["errors"][0][1]


@pytest.mark.parametrize(
    ("runtime", "name", "inputs", "outputs"),
    [
        ("onnx", "onnx", [["X", "FP32", [-1, 4]]], [["label", "INT64", [-1]], ["probabilities", "FP32", [-1, 3]]]),
        (
            "sklearn",
            "logistic",
            [["X", "FP64", [-1, 4]]],
            [["predict", "INT64", [-1]], ["predict_proba", "FP64", [-1, 3]]],
        ),
        ("sklearn", "named", [[name, "FP64", [-1, 1]] for name in "abc"], [["predict", "FP64", [-1]]]),
        ("mlflow", "mlflow", [[name, "FP64", [-1, 1]] for name in "abc"], []),
    ],
)
def test_metadata_come_from_the_model(
    served: ModelWorkers, runtime: str, name: str, inputs: object, outputs: object
) -> None:
    worker = served.serve(runtime, name)
    for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/7"):
        told = worker.ask(None, "GET", path).json
        assert [[found["name"], found["datatype"], found["shape"]] for found in told["inputs"]] == inputs
        assert [[found["name"], found["datatype"], found["shape"]] for found in told["outputs"]] == outputs


@pytest.mark.parametrize(("runtime", "name"), [("onnx", "onnx"), ("sklearn", "logistic"), ("onnx", "onnx-zipmap")])
def test_every_runtime_answers_and_gives_what_is_asked_for(
    served: ModelWorkers, models: Path, runtime: str, name: str
) -> None:
    worker = served.serve(runtime, name)
    expected = json.loads((models / "expected.json").read_bytes())
    told = worker.ask(None, "GET", f"/v2/models/{name}").json
    labels, probabilities = (found["name"] for found in told["outputs"])
    datatype = told["inputs"][0]["datatype"]
    answer = infer(worker, name, matrix(*expected["rows"], datatype=datatype, id="7")).json
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("7", name, "7")
    assert answer["outputs"][0] == {"name": labels, "datatype": "INT64", "shape": [3], "data": expected["labels"]}
    assert len(answer["outputs"]) == (1 if runtime == "sklearn" else 2)
    wanted: Any = {"outputs": [{"name": probabilities}]}
    (found,) = infer(worker, name, matrix(*expected["rows"], datatype=datatype, **wanted)).json["outputs"]
    flat = [value for row in expected["probabilities"] for value in row]
    assert (found["shape"], found["data"]) == ([3, 3], pytest.approx(flat, abs=1e-5))


@pytest.mark.parametrize("name", ["named", "mlflow"])
def test_columns_are_inputs_and_a_matrix_is_taken_too(served: ModelWorkers, models: Path, name: str) -> None:
    worker = served.serve("sklearn" if name == "named" else "mlflow", name)
    expected = json.loads((models / "expected.json").read_bytes())
    columns = [
        {
            "name": column,
            "datatype": "FP64",
            "shape": [3, 1],
            "data": [row["abc".index(column)] for row in expected["rows"]],
        }
        for column in "cab"
    ]
    (found,) = infer(worker, name, {"inputs": columns}).json["outputs"]
    assert found["data"] == pytest.approx(expected["regression"])
    whole = infer(worker, name, matrix(*[row[:3] for row in expected["rows"]], datatype="FP64")).json
    assert whole["outputs"][0]["data"] == pytest.approx(expected["regression"])
    missing = infer(worker, name, {"inputs": columns[:2]})
    assert missing.status == 400
    assert "b" in missing.json["error"]


GOOD = {"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
SIZED = {key: value for key, value in GOOD.items() if key != "data"}


def sized(size: object, **more: object) -> dict[str, object]:
    """A tensor whose data is binary."""
    return {**SIZED, "parameters": {"binary_data_size": size}, **more}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "inputs: 'X' is missing; the model takes X."),
        ("X", "inputs: must be a list of tensors."),
        ([1], "inputs[0]: must be an object."),
        ([{**GOOD, "name": ""}], "inputs[0].name: must be a name."),
        ([GOOD, GOOD], "inputs[1].name: 'X' is there twice."),
        ([GOOD, {**GOOD, "name": "Y"}], "inputs[1]: the model has no input 'Y'; it takes X."),
        ([{**GOOD, "datatype": "FP32 "}], "inputs[0].datatype: must be one of BOOL, UINT8,"),
        ([{**GOOD, "datatype": ["FP32"]}], "inputs[0].datatype: must be one of BOOL, UINT8,"),
        ([{**GOOD, "datatype": "BF16"}], "inputs[0].datatype: must be one of BOOL, UINT8,"),
        ([{**GOOD, "datatype": "FP64"}], "inputs[0].datatype: is FP64; the model takes FP32."),
        ([{**GOOD, "shape": [4]}], "inputs[0]: has 1 dimensions; the model takes 2, [-1, 4]."),
        ([{**GOOD, "shape": [2, 2]}], "inputs[0]: has 2 values along axis 1; the model takes 4."),
        ([{**GOOD, "shape": [1, -4]}], "inputs[0].shape[1]: must be a whole number from 0"),
        ([{**GOOD, "shape": [1, 4.0]}], "inputs[0].shape[1]: must be a whole number from 0"),
        ([{**GOOD, "shape": [True, 4]}], "inputs[0].shape[0]: must be a whole number from 0"),
        ([{**GOOD, "shape": [1 << 31, 4]}], "inputs[0].shape[0]: must be a whole number from 0"),
        ([{**GOOD, "shape": [(1 << 31) - 1] * 32}], "inputs[0].data: has 4 values; the shape"),
        ([{**GOOD, "shape": [0, (1 << 31) - 1], "data": []}], "inputs[0].shape: an empty tensor of such lengths"),
        ([{**GOOD, "shape": [1] * 33}], "inputs[0].shape: must be a list of at most 32 lengths."),
        ([{**GOOD, "shape": None}], "inputs[0].shape: must be a list of at most 32 lengths."),
        ([{**GOOD, "data": [1, 2, 3]}], "inputs[0].data: has 3 values; the shape [1, 4] has 4."),
        ([{**GOOD, "data": [1, 2, 3, "4"]}], 'inputs[0].data[3]: must be a number; it is "4".'),
        ([{**GOOD, "data": [[1, 2], [3, 4]]}], "inputs[0].data: is nested as [2, 2]; the shape is [1, 4]."),
        ([{**GOOD, "data": [[1, 2, 3], [4]]}], "inputs[0].data[1]: has 1 values; the first has 3."),
        ([{**GOOD, "data": [1, [2, 3, 4]]}], "inputs[0].data[1]: is nested less or more deeply than the first."),
        ([{**GOOD, "data": [1, 2, 3, 1e300]}], "inputs[0].data: has a number that is out of the range of float32."),
        ([{**GOOD, "data": [1, 2, 3, 10**400]}], "inputs[0].data: "),
        ([{**GOOD, "data": 1}], "inputs[0].data: must be a list of values."),
        ([SIZED], "inputs[0].data: must be a list of values."),
        ([{**GOOD, "parameters": 1}], "inputs[0].parameters: must be an object."),
        ([{**GOOD, "parameters": {"shared_memory_region": "r"}}], "inputs[0].parameters: shared memory is not"),
        ([sized(16)], "inputs[0].parameters.binary_data_size: is 16; 0 bytes are left of the body."),
        ([sized(-1)], "inputs[0].parameters.binary_data_size: must be a number of bytes."),
        ([sized("16")], "inputs[0].parameters.binary_data_size: must be a number of bytes."),
        ([sized(0)], "inputs[0].parameters.binary_data_size: is 0; the shape and FP32 make 16."),
        ([sized(0, data=[1])], "inputs[0].data: stands beside parameters.binary_data_size"),
    ],
)
def test_what_does_not_fit_is_400_with_the_field(served: ModelWorkers, inputs: object, message: str) -> None:
    answer = infer(served.serve("onnx", "onnx"), "onnx", {"inputs": inputs})
    assert (answer.status, list(answer.json)) == (400, ["error"])
    assert answer.json["error"].startswith(message), answer.json


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"id": 7}, "id: must be a string."),
        ({"parameters": []}, "parameters: must be an object."),
        ({"parameters": {"binary_data_output": 1}}, "parameters.binary_data_output: must be true or false."),
        ({"outputs": {}}, "outputs: must be a list of tensors."),
        ({"outputs": [{"name": "x"}]}, "outputs[0].name: the model has no output 'x'; it gives label, probabilities."),
        ({"outputs": [{"name": "label"}, {"name": "label"}]}, "outputs[1].name: 'label' is there twice."),
        (
            {"outputs": [{"name": "label", "parameters": {"classification": 2}}]},
            "outputs[0].parameters.classification: is not supported.",
        ),
    ],
)
def test_other_fields_are_checked_too(served: ModelWorkers, more: dict[str, object], message: str) -> None:
    answer = infer(served.serve("onnx", "onnx"), "onnx", {"inputs": [GOOD], **more})
    assert (answer.status, answer.json) == (400, {"error": message})


BINARY = struct.pack("<4f", 1, 2, 3, 4)


def test_binary_outputs_follow_the_json_in_their_order(served: ModelWorkers) -> None:
    body = {"inputs": [sized(16)], "parameters": {"binary_data_output": True}}
    body["outputs"] = [{"name": "probabilities"}, {"name": "label", "parameters": {"binary_data": False}}]
    answer = infer(served.serve("onnx", "onnx"), "onnx", body, BINARY)
    length = int(answer.headers["inference-header-content-length"])
    head = json.loads(answer.body[:length])
    assert answer.headers["content-type"] == "application/octet-stream"
    assert head["outputs"][0]["parameters"] == {"binary_data_size": 12}
    assert head["outputs"][1]["data"] == [2]
    assert sum(struct.unpack("<3f", answer.body[length:])) == pytest.approx(1)


@pytest.mark.parametrize(
    ("binary", "headers", "message"),
    [
        (BINARY + b"x", {}, "inputs: 1 bytes of the body belong to no tensor."),
        (BINARY[:-1], {}, "inputs[0].parameters.binary_data_size: is 16; 15 bytes are left of the body."),
        (BINARY, {"Inference-Header-Content-Length": "1000000"}, "Inference-Header-Content-Length: must be a number"),
        (BINARY, {"Inference-Header-Content-Length": "-1"}, "Inference-Header-Content-Length: must be a number"),
        (BINARY, {"Inference-Header-Content-Length": "1" * 5000}, "Inference-Header-Content-Length: must be a number"),
        (BINARY, {"Inference-Header-Content-Length": "3"}, "The request could not be decoded as JSON"),
        (BINARY, {"Content-Encoding": "gzip"}, "The body could not be decompressed"),
    ],
)
def test_lengths_that_lie_are_400(served: ModelWorkers, binary: bytes, headers: dict[str, str], message: str) -> None:
    answer = infer(served.serve("onnx", "onnx"), "onnx", {"inputs": [sized(16)]}, binary, headers)
    assert (answer.status, answer.json["error"][: len(message)]) == (400, message)


@pytest.mark.parametrize(
    ("datatype", "content", "message"),
    [
        ("BOOL", b"\x02", "inputs[0]: a byte of BOOL must be 0 or 1."),
        ("BYTES", b"\x01\0\0\0", "inputs[0]: the binary data ends within string 0."),
        ("BYTES", b"\xff\xff\xff\xffa", "inputs[0]: the binary data ends within string 0."),
        ("BYTES", b"\x01\0\0", "inputs[0]: the binary data ends within the length of string 0."),
        ("BYTES", b"\x01\0\0\0\xff", "inputs[0]: string 0 is not UTF-8; the model takes text."),
        ("BYTES", b"\0\0\0\0" * 2, "inputs[0]: the binary data has 2 strings; the shape has 1."),
        ("BYTES", b"", "inputs[0]: the binary data has 0 strings; the shape has 1."),
    ],
)
def test_binary_data_of_texts_and_truths_are_checked(
    served: ModelWorkers, datatype: str, content: bytes, message: str
) -> None:
    tensor = {"name": "X", "datatype": datatype, "shape": [1], "parameters": {"binary_data_size": len(content)}}
    answer = infer(served.serve("onnx", "onnx"), "onnx", {"inputs": [tensor]}, content)
    assert (answer.status, answer.json) == (400, {"error": message})


def test_compressed_bodies_are_bounded(served: ModelWorkers) -> None:
    worker = served.serve("onnx", "onnx")

    def ask(body: bytes, coding: str) -> Answer:
        return worker.ask(body, path="/v2/models/onnx/infer", headers={"Content-Encoding": coding})

    good = json.dumps({"inputs": [GOOD]}).encode()
    assert ask(gzip.compress(good), "gzip").status == 200
    assert ask(zlib.compress(good), "deflate").status == 200
    bomb = zlib.compress(b" " * (65 * 1024 * 1024), 9)
    assert len(bomb) < 100_000
    before = memory(worker)
    refused = ask(bomb, "deflate")
    assert (refused.status, list(refused.json)) == (413, ["error"])
    assert memory(worker) - before < 200 * 1024
    assert ask(good, "br").status == 415
    assert ask(gzip.compress(good)[:-3], "gzip").status == 400
    assert ask(gzip.compress(good) * 2, "gzip").status == 400


def memory(worker: Worker) -> int:
    """The most that the worker ever held, in KiB."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def test_numbers_beside_a_long_string_take_no_room(served: ModelWorkers) -> None:
    worker = served.serve("onnx", "onnx")
    before = memory(worker)
    data: list[object] = [*range(20_000), "x" * 200_000]  # 16 GB, if each were as long as the longest
    for body in ({"data": [data]}, {"input_data": [[value] for value in data]}):
        assert worker.ask(json.dumps(body)).status == 400
    assert infer(worker, "onnx", {"inputs": [{**GOOD, "data": data}]}).status == 400
    assert memory(worker) - before < 200 * 1024


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v2/models/other", 404, "There is no model 'other' here; there is 'onnx'."),
        ("POST", "/v2/models/onnx/versions/8/infer", 404, "There is no version '8' of 'onnx' here; there is '7'."),
        ("GET", "/v2/nothing", 404, "There is no such route in this protocol"),
        ("POST", "/v2/repository/index", 404, "There is no such route in this protocol"),
        ("DELETE", "/v2/", 404, "There is no such route in this protocol"),
    ],
)
def test_what_is_not_there_is_404_in_the_protocols_form(
    served: ModelWorkers, method: str, path: str, status: int, message: str
) -> None:
    answer = served.serve("onnx", "onnx").ask(None, method, path)
    assert (answer.status, answer.json["error"][: len(message)]) == (status, message)


def test_missing_numbers_are_null(served: ModelWorkers) -> None:
    worker = served.serve("onnx", "onnx")
    for value in ("null", "NaN"):
        body = json.dumps({"inputs": [GOOD]}).replace("[1, 2, 3, 4]", f"[1, 2, 3, {value}]")
        answer = worker.ask(body, path="/v2/models/onnx/infer")
        assert answer.status == 200
        assert "NaN" not in answer.body.decode()


SCRIPT = """
import json

def init():
    pass

def run(data):
    body = json.loads(data)
    if "bad" in body:
        raise ValueError("secret")
    return body["give"] if "give" in body else {"sum": [sum(body["a"]), 0.5], "names": body["b"]}
"""


def script_request(**values: list[object]) -> dict[str, object]:
    """JSON tensors of whole numbers or texts."""
    return {
        "inputs": [
            {
                "name": name,
                "datatype": "BYTES" if data and isinstance(data[0], str) else "INT64",
                "shape": [len(data)],
                "data": data,
            }
            for name, data in values.items()
        ]
    }


def test_scripts_get_named_lists_and_give_named_lists(start_worker: StartWorker, models_python: Path) -> None:
    worker = start_worker(SCRIPT, python=str(models_python), deployment="blue")
    told = worker.ask(None, "GET", "/v2/models/blue").json
    assert (told["platform"], told["inputs"], told["versions"]) == ("azureml_script", [], [])
    answer = infer(worker, "blue", script_request(a=[1, 2], b=["x", "y"])).json
    assert answer == {
        "model_name": "blue",
        "outputs": [
            {"name": "sum", "datatype": "FP64", "shape": [2], "data": [3.0, 0.5]},
            {"name": "names", "datatype": "BYTES", "shape": [2], "data": ["x", "y"]},
        ],
    }
    given = infer(worker, "blue", script_request(give=[1, 2])).json["outputs"]
    assert given == [{"name": "output", "datatype": "INT64", "shape": [2], "data": [1, 2]}]
    failed = infer(worker, "blue", script_request(bad=[1]))
    assert (failed.status, "secret" in failed.body.decode()) == (500, False)
    assert failed.headers["x-ms-run-function-failed"] == "True"


def test_a_script_whose_environment_lacks_numpy_says_so(start_worker: StartWorker) -> None:
    worker = start_worker(SCRIPT.replace("import json", "import json, sys; sys.modules['numpy'] = None"))
    answer: Any = infer(worker, "test-1", script_request(a=[1]))
    assert (answer.status, "lacks numpy" in answer.json["error"]) == (501, True)

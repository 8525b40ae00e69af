"""The tensor decoder under fire: whatever is sent, the answer is 200 or 400 with a reason, and memory stays flat."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.scoring.rig import PATIENCE, Worker, connect
from tests.scoring.serving_models import ModelWorkers

PATH = "/v2/models/onnx-echo/infer"
ROOM = 150 * 1024
"""KiB that a worker may take beyond what it had; single requests of these tests have a few KiB."""

TYPES = [
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]


class Client:
    """One connection, kept: thousands of requests are quick on it.

    Args:
        worker: Whom to ask.
    """

    def __init__(self, worker: Worker) -> None:
        """Connect."""
        self._connection = http.client.HTTPConnection("worker", timeout=PATIENCE)
        self._connection.sock = connect(worker.socket)
        self._worker = worker
        self.before = self.memory()

    def infer(self, body: bytes, length: str | None = None, path: str = PATH) -> int:
        """Send one request, and check what every answer must be; its status."""
        headers = {"Content-Type": "application/json"}
        if length is not None:
            headers["Inference-Header-Content-Length"] = length
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        assert response.status in {200, 400}, (response.status, content, body)
        if response.status == 400:
            reasons = json.loads(content).values()
            assert all(isinstance(reason, str) and reason for reason in reasons)
        return response.status

    def memory(self) -> int:
        """The most that the worker ever held, in KiB."""
        status = Path(f"/proc/{self._worker.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0])

    def close(self) -> None:
        """The worker has neither died nor grown."""
        self._connection.close()
        assert self._worker.process.poll() is None
        assert self.memory() - self.before < ROOM


Connect = Callable[[str, str], Client]


@pytest.fixture(scope="module")
def connected(served: ModelWorkers) -> Iterator[Connect]:
    """Connections to models, each made once."""
    clients: dict[str, Client] = {}

    def connect_to(runtime: str, name: str) -> Client:
        if name not in clients:
            clients[name] = Client(served.serve(runtime, name))
        return clients[name]

    yield connect_to
    for client in clients.values():
        client.close()


@pytest.fixture(scope="module")
def client(connected: Connect) -> Client:
    """A connection to the model that gives back its inputs."""
    return connected("onnx", "onnx-echo")


def whole_request() -> tuple[bytes, int]:
    """A request that fits, with JSON and binary tensors of every type; and the length of its JSON."""
    sizes = {"FP32": ("float", "<6f"), "FP64": ("double", "<2d"), "FP16": ("float16", "<e"), "BOOL": ("bool", "<?")}
    sizes |= {name: (name.lower(), f"<{code}") for name, code in zip(TYPES[1:9], "BHIQbhiq", strict=True)}
    tensors: list[dict[str, object]] = []
    binary = b""
    for place, (datatype, (name, layout)) in enumerate(sizes.items()):
        count = int(layout[1]) if layout[1].isdigit() else 1
        content = struct.pack(layout, *([1] * count))
        shape = {"float": [1, 2, 3], "double": [1, 2]}.get(name, [1])
        tensor: dict[str, object] = {"name": name, "datatype": datatype, "shape": shape}
        if place % 2:
            tensor["data"] = [1] * count
        else:
            tensor["parameters"] = {"binary_data_size": len(content)}
            binary += content
        tensors.append(tensor)
    texts = struct.pack("<I2sI", 2, b"ab", 0)
    tensors.append({"name": "string", "datatype": "BYTES", "shape": [1, 2], "parameters": {"binary_data_size": 10}})
    head = json.dumps({"id": "x", "inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
    return head + binary + texts, len(head)


def test_every_byte_of_a_request_may_be_wrong(client: Client) -> None:
    body, length = whole_request()
    assert client.infer(body, str(length)) == 200
    for place in range(len(body)):
        for change in (0x01, 0x10, 0x80):
            client.infer(body[:place] + bytes([body[place] ^ change]) + body[place + 1 :], str(length))


def test_every_length_of_a_request_and_of_its_header_may_be_wrong(client: Client) -> None:
    body, length = whole_request()
    for end in range(0, len(body), 7):
        assert client.infer(body[:end], str(min(length, end))) == 400
        assert client.infer(body, str(end)) == (200 if end == length else 400)
    for lie in ("", "x", "-0", "+1", "1e3", "0x10", "9" * 30, str(len(body) + 1)):
        client.infer(body, lie)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
LENGTHS = st.sampled_from([-1, 0, 1, 2, 3, 2**16, 2**31 - 1, 2**31, 2**63, 2**64, 10**30]) | st.integers(0, 6)
NUMBERS = st.integers() | st.floats() | st.booleans() | st.none()
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["float", "string", "bool", "int8", "float16", "uint64"]) | JSON,
        "datatype": st.sampled_from(TYPES) | JSON,
        "shape": st.lists(LENGTHS, max_size=40) | JSON,
    },
    optional={
        "data": st.lists(NUMBERS, max_size=8) | st.lists(st.lists(NUMBERS, max_size=3), max_size=3) | JSON,
        "parameters": st.fixed_dictionaries({"binary_data_size": LENGTHS}) | JSON,
    },
)
REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS, max_size=4) | JSON},
    optional={"id": JSON, "parameters": JSON, "outputs": JSON},
)
QUIET = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@QUIET
@given(request=REQUESTS, binary=st.binary(max_size=64))
def test_any_tensors_are_answered(client: Client, request: object, binary: bytes) -> None:
    head = json.dumps(request).encode()
    client.infer(head + binary, str(len(head)))


FIELDS = ["data", "input_data", "inputs", "method", "instances", "dataframe_split", "dataframe_records", "params"]
COLUMNS = st.sampled_from(["a", "b", "c", "d"])
CELLS = NUMBERS | st.text(max_size=3)
ROWS = st.lists(st.lists(CELLS, min_size=3, max_size=4), max_size=3)
CONTENTS = (
    JSON
    | ROWS
    | st.lists(st.dictionaries(COLUMNS, CELLS, max_size=4), max_size=3)
    | st.dictionaries(COLUMNS, st.lists(CELLS, max_size=3), max_size=4)
    | st.fixed_dictionaries({"columns": st.lists(COLUMNS, max_size=4), "data": ROWS})
)


@pytest.mark.parametrize(("runtime", "name"), [("sklearn", "named"), ("sklearn", "logistic"), ("onnx", "onnx-columns")])
@QUIET
@given(body=JSON | st.dictionaries(st.sampled_from(FIELDS), CONTENTS, max_size=2))
def test_any_json_is_answered_by_the_other_dialects_too(
    connected: Connect, runtime: str, name: str, body: object
) -> None:
    client = connected(runtime, name)
    for path in ("/score", "/invocations"):
        client.infer(json.dumps(body).encode(), path=path)


@pytest.mark.parametrize("depth", [40, 900, 100_000])
def test_deep_nesting_is_400(client: Client, depth: int) -> None:
    nested = "[" * depth + "1" + "]" * depth
    head = '{"inputs": [{"name": "float", "datatype": "FP32", "shape": [1], "data": '
    assert client.infer(f"{head}{nested}}}]}}".encode()) == 400
    assert client.infer(nested.encode()) == 400
    assert client.infer(f'{{"inputs": {{"float": {nested}}}}}'.encode(), path="/score") == 400


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", "1" * 4000, "1" * 5000, "1e-400", "1.0"])
@pytest.mark.parametrize("datatype", TYPES)
def test_numbers_beyond_every_type_are_answered(client: Client, datatype: str, number: str) -> None:
    tensor = '{"inputs": [{"name": "x", "datatype": "%s", "shape": [2], "data": [0, %s]}]}'
    assert client.infer((tensor % (datatype, number)).encode()) == 400  # at the latest, because of the name

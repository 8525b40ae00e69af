"""Asks a server by Triton's client, which others have made; run in an environment of its own with a port.

Prints what it was told, as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

TYPES = {
    "float": "FP32",
    "double": "FP64",
    "float16": "FP16",
    "int64": "INT64",
    "int32": "INT32",
    "int16": "INT16",
    "int8": "INT8",
    "uint64": "UINT64",
    "uint32": "UINT32",
    "uint16": "UINT16",
    "uint8": "UINT8",
    "bool": "BOOL",
}


def main(port: str) -> None:
    """Ask everything."""
    http = importlib.import_module("tritonclient.http")
    client = http.InferenceServerClient(f"127.0.0.1:{port}")
    told = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model ready": client.is_model_ready("onnx-echo"),
        "version ready": client.is_model_ready("onnx-echo", "7"),
        "another ready": client.is_model_ready("onnx-echo", "8"),
        "server": client.get_server_metadata(),
        "metadata": client.get_model_metadata("onnx-echo", "7"),
        "compressed": {},
    }
    for binary in (True, False):
        told["binary" if binary else "json"] = echoed(http, client, binary=binary)
    for algorithm in ("gzip", "deflate"):
        told["compressed"][algorithm] = echoed(http, client, binary=True, request_compression_algorithm=algorithm)
    told["all"] = len(client.infer("onnx-echo", inputs(http, binary=True)).get_response()["outputs"])
    told["errors"] = errors(http, client)
    client.close()
    sys.stdout.write(json.dumps(told) + "\n")


def arrays() -> dict[str, Any]:
    """One array for each input of the echoing model."""
    numpy = importlib.import_module("numpy")
    utils = importlib.import_module("tritonclient.utils")
    made = {}
    for name, datatype in TYPES.items():
        dtype = utils.triton_to_np_dtype(datatype)
        shape = {"float": (3, 2, 3), "double": (3, 2)}.get(name, (3,))
        size = int(numpy.prod(shape))
        values = numpy.arange(size) % 2 if name == "bool" else numpy.arange(size) - (0 if name[0] == "u" else size // 2)
        made[name] = values.reshape(shape).astype(dtype)
    made["int64"][0], made["uint64"][0] = -(2**63), 2**64 - 1
    made["string"] = numpy.array([["a", ""], ["ä\n\0", "x" * 300], ["1", "null"]], dtype=object)
    return made


def inputs(http: Any, *, binary: bool) -> list[Any]:  # noqa: ANN401 - a module of another environment
    """The client's inputs."""
    made = []
    for name, value in arrays().items():
        datatype = TYPES.get(name, "BYTES")
        tensor = http.InferInput(name, list(value.shape), datatype)
        # The client has no JSON for half precision.
        tensor.set_data_from_numpy(value, binary_data=binary or datatype == "FP16")
        made.append(tensor)
    return made


def echoed(http: Any, client: Any, *, binary: bool, **options: str) -> dict[str, bool]:  # noqa: ANN401 - as above
    """Whether each array came back as it was sent."""
    numpy = importlib.import_module("numpy")
    sent = arrays()
    wanted = [http.InferRequestedOutput(f"{name}_out", binary_data=binary) for name in sent]
    answer = client.infer("onnx-echo", inputs(http, binary=binary), "7", wanted, request_id="r-1", **options)
    assert answer.get_response()["id"] == "r-1"
    equal = {}
    for name, value in sent.items():
        found = answer.as_numpy(f"{name}_out")
        if name == "string":
            decode = numpy.vectorize(lambda item: item.decode() if isinstance(item, bytes) else item, otypes=[object])
            found = decode(found)
        equal[name] = bool(found.dtype == value.dtype and found.shape == value.shape and (found == value).all())
    return equal


def errors(http: Any, client: Any) -> list[list[object]]:  # noqa: ANN401 - as above
    """What the client raises for requests that do not fit: status and message."""
    failed = importlib.import_module("tritonclient.utils").InferenceServerException
    found = []
    for name, model in (("string", "onnx-echo"), ("float", "nobody")):
        wanted = [tensor for tensor in inputs(http, binary=True) if tensor.name() == name]
        try:
            client.infer(model, wanted)
        except failed as error:
            found.append([error.status(), error.message()])
    return found


if __name__ == "__main__":
    main(sys.argv[1])

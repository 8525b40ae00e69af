"""Requests and answers of the Open Inference Protocol: their JSON, and the binary data behind it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_scoring.wire.limits import Limits
from mlops_scoring.worker.dialects.open_inference_tensors import Binary, Fields, decode, encode
from mlops_scoring.worker.prediction import Array
from mlops_scoring.worker.scoring import Answer, ScoringRequest, Unfit

_HEADER_LENGTH = b"inference-header-content-length"
_LARGEST = Limits().body_bytes
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


@dataclass(frozen=True, slots=True)
class Infer:
    """One request.

    Attributes:
        id: What the answer repeats.
        tensors: Arrays by the names of the inputs.
        paths: Where in the request each stands.
        outputs: Names of the outputs that are wanted, in their order, each with whether as binary data; empty for all.
        binary: Whether outputs that are not named are wanted as binary data.
    """

    id: str | None
    tensors: Mapping[str, Array]
    paths: Mapping[str, str]
    outputs: Mapping[str, bool]
    binary: bool


def read(request: ScoringRequest, numpy: Any) -> Infer:  # noqa: ANN401 - a module
    """Read a request.

    Raises:
        Unfit: It is not one, or its tensors contradict themselves; the message names the field.
    """
    body = _body(request)
    head, rest = _divide(request, body)
    try:
        message = json.loads(bytes(head))
    except (ValueError, RecursionError) as error:
        raise Unfit(f"The request could not be decoded as JSON: {error}") from None
    if not isinstance(message, dict):
        raise Unfit("The request must be a JSON object.")
    name = message.get("id")
    if name is not None and not isinstance(name, str):
        raise Unfit("id: must be a string.")
    parameters = _object(message.get("parameters", {}), "parameters")
    binary = _flag(parameters, "binary_data_output", "parameters", default=False)
    tensors, paths = {}, {}
    left = Binary(rest)
    for place, tensor in enumerate(_list(message.get("inputs"), "inputs")):
        where = f"inputs[{place}]"
        fields = _object(tensor, where)
        input_name = _name(fields, where)
        if input_name in tensors:
            raise Unfit(f"{where}.name: {input_name[:100]!r} is there twice.")
        tensors[input_name], paths[input_name] = decode(numpy, fields, left, where), where
    if left.left:
        raise Unfit(f"inputs: {left.left} bytes of the body belong to no tensor.")
    return Infer(name, tensors, paths, _outputs(message.get("outputs", []), binary=binary), binary)


def _body(request: ScoringRequest) -> bytes:
    coding = request.header(b"content-encoding").strip().lower()
    if coding in {"", "identity"}:
        return request.body
    if coding not in _WINDOWS:
        raise Unfit(f"The content encoding {coding[:100]!r} is not supported; use gzip or deflate.", 415)
    unpacker = zlib.decompressobj(_WINDOWS[coding])
    try:
        body = unpacker.decompress(request.body, _LARGEST + 1)
    except zlib.error as error:
        raise Unfit(f"The body could not be decompressed: {error}") from None
    if len(body) > _LARGEST:
        raise Unfit(f"The decompressed body is larger than {_LARGEST} bytes.", 413)
    if not unpacker.eof or unpacker.unused_data:
        raise Unfit("The compressed body is cut off, or something follows it.")
    return body


def _divide(request: ScoringRequest, body: bytes) -> tuple[memoryview, memoryview]:
    whole = memoryview(body)
    given = request.header(_HEADER_LENGTH)
    if not given:
        return whole, whole[:0]
    if not (given.isascii() and given.isdigit()) or len(given) > 10 or int(given) > len(body):
        raise Unfit(f"Inference-Header-Content-Length: must be a number of bytes, at most {len(body)}.")
    return whole[: int(given)], whole[int(given) :]


def _outputs(value: object, *, binary: bool) -> Mapping[str, bool]:
    outputs: dict[str, bool] = {}
    for place, output in enumerate(_list(value, "outputs")):
        where = f"outputs[{place}]"
        fields = _object(output, where)
        name = _name(fields, where)
        if name in outputs:
            raise Unfit(f"{where}.name: {name[:100]!r} is there twice.")
        parameters = _object(fields.get("parameters", {}), f"{where}.parameters")
        for unsupported in ("classification", "shared_memory_region"):
            if unsupported in parameters:
                raise Unfit(f"{where}.parameters.{unsupported}: is not supported.")
        outputs[name] = _flag(parameters, "binary_data", f"{where}.parameters", default=binary)
    return outputs


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise Unfit(f"{where}: must be a list of tensors.")
    return value


def _object(value: object, where: str) -> Fields:
    if not isinstance(value, dict):
        raise Unfit(f"{where}: must be an object.")
    return value


def _name(fields: Fields, where: str) -> str:
    name = fields.get("name")
    if not isinstance(name, str) or not name:
        raise Unfit(f"{where}.name: must be a name.")
    return name


def _flag(fields: Fields, name: str, where: str, *, default: bool) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise Unfit(f"{where}.{name}: must be true or false.")
    return value


def write(
    infer: Infer,
    identity: Mapping[str, object],
    found: Mapping[str, Array],
    numpy: Any,  # noqa: ANN401 - a module
    milliseconds: float | None,
) -> Answer:
    """The answer to a request.

    Args:
        infer: The request.
        identity: The model's name and version, as fields.
        found: What the model gives.
        numpy: The module.
        milliseconds: How long the model took.
    """
    tensors, contents = [], []
    for name, value in found.items():
        tensor, content = encode(numpy, name, value, binary=infer.outputs.get(name, infer.binary))
        tensors.append(tensor)
        contents.append(content)
    message = dict(identity)
    if infer.id is not None:
        message["id"] = infer.id
    head = json.dumps(message | {"outputs": tensors}).encode()
    if not any("parameters" in tensor for tensor in tensors):
        return Answer(200, head, [("content-type", "application/json")], milliseconds=milliseconds)
    headers = [("content-type", "application/octet-stream"), (_HEADER_LENGTH.decode(), str(len(head)))]
    return Answer(200, b"".join([head, *contents]), headers, milliseconds=milliseconds)

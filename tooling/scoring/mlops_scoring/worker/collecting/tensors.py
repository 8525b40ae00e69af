"""Tensors of the Open Inference Protocol as records, one for each element of their first dimension.

The binary extension is read too. NumPy is not needed, because the environment of a script may lack it.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlops_scoring.collection.events import Unreadable
from mlops_scoring.collection.privacy import Filter, Unfiltered

HEADER_LENGTH = b"inference-header-content-length"
"""Header with the length of the JSON before binary tensors."""

Record = dict[str, object]

_CODES = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    shape: tuple[int, ...]
    values: Sequence[object]


def tensor_records(body: bytes, header_length: bytes | None, field: str, kept: Filter) -> list[Record]:
    """The tensors of a request (`inputs`) or an answer (`outputs`) side by side.

    A tensor with one value for each record is a field of its name; one with more is a list, or, where it is the only
    one and the model's columns are as many, a field for each column. Where fields are to be found that have no names,
    its columns are fields by their positions.

    Args:
        body: JSON, and binary tensors behind it.
        header_length: Value of `Inference-Header-Content-Length`; None where all is JSON.
        field: Which tensors.
        kept: Knows the model's columns, and whether values without names may be kept.

    Raises:
        Unreadable: It is something else.
        Unfiltered: Names are to be found among values that have none.
    """
    end = len(body) if header_length is None else int(header_length)
    document = json.loads(body[:end])
    listed = document.get(field) if isinstance(document, dict) else None
    if not isinstance(listed, list):
        message = f"no {field}"
        raise Unreadable(message)
    tensors = list(_tensors(listed, memoryview(body)[end:]))
    records: list[Record] = [{} for _ in range(max((_length(tensor) for tensor in tensors), default=0))]
    for tensor in tensors:
        width = math.prod(tensor.shape[1:])
        names = _columns(tensor, width, kept, alone=len(tensors) == 1)
        for number in range(_length(tensor)):
            values = tensor.values[number * width : (number + 1) * width]
            if names:
                records[number].update(zip(names, values, strict=True))
            else:
                records[number][tensor.name] = values[0] if width == 1 else list(values)
    return records


def _columns(tensor: _Tensor, width: int, kept: Filter, *, alone: bool) -> Sequence[str]:
    """Names of the values of one record; none where they are kept as one field, of the tensor's name."""
    if alone and len(tensor.shape) == 2 and len(kept.columns) == width:
        return kept.columns
    if not kept or width == 1 or kept.knows(tensor.name):
        return ()
    if alone and len(tensor.shape) == 2:
        return kept.names(width)
    message = f"a tensor with {width} values for each record"
    raise Unfiltered(message)


def _length(tensor: _Tensor) -> int:
    return tensor.shape[0] if tensor.shape else 1


def _tensors(listed: Sequence[object], binary: memoryview) -> Iterator[_Tensor]:
    for item in listed:
        match item:
            case {"name": str(name), "shape": list(shape), "data": list(data)}:
                values = _flat(data)
            case {
                "name": str(name),
                "shape": list(shape),
                "datatype": str(datatype),
                "parameters": {"binary_data_size": int(size)},
            }:
                values = _decoded(datatype, binary[:size])
                binary = binary[size:]
            case _:
                message = "a tensor without data"
                raise Unreadable(message)
        sizes = tuple(size for size in shape if isinstance(size, int) and size >= 0)
        # A dimension of none beside a large one would be many records of nothing.
        if len(sizes) != len(shape) or math.prod(sizes) != len(values) or (sizes and sizes[0] > len(values)):
            message = "a tensor whose shape is not that of its data"
            raise Unreadable(message)
        yield _Tensor(name, sizes, values)


def _flat(data: list[object]) -> list[object]:
    while data and isinstance(data[0], list):
        data = [item for part in data for item in (part if isinstance(part, list) else [part])]
    return data


def _decoded(datatype: str, data: memoryview) -> list[object]:
    if datatype == "BYTES":
        return list(_strings(data))
    code = "H" if datatype == "BF16" else _CODES.get(datatype)
    if code is None:
        message = "a tensor of an unknown type"
        raise Unreadable(message)
    try:
        values = struct.unpack(f"<{len(data) // struct.calcsize(f'<{code}')}{code}", data)
    except struct.error:
        message = "a tensor that does not end where its last value does"
        raise Unreadable(message) from None
    if datatype == "BF16":  # the upper half of an FP32
        return [struct.unpack("<f", struct.pack("<I", word << 16))[0] for word in values]
    return list(values)


def _strings(data: memoryview) -> Iterator[str]:
    position = 0
    while position + 4 <= len(data):
        (length,) = struct.unpack_from("<I", data, position)
        position += 4
        yield bytes(data[position : position + length]).decode("utf-8", "backslashreplace")
        position += length


def is_tensors(value: object, field: str) -> bool:
    """Whether a document looks like one of the protocol."""
    match value:
        case {"model_name": str()}:
            return field == "outputs"
        case Mapping():
            listed = value.get(field)
            return isinstance(listed, list) and bool(listed) and isinstance(listed[0], dict) and "shape" in listed[0]
        case _:
            return False

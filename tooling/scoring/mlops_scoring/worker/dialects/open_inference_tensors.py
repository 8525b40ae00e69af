"""Tensors of the Open Inference Protocol, as JSON and in its binary extension, to arrays and back.

Source: the protocol's REST specification and "Binary Tensor Data Extension" (KServe and Triton document the same).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

from mlops_scoring.worker.prediction import DATATYPES, DTYPES, Array
from mlops_scoring.worker.runtimes.arrays import to_array
from mlops_scoring.worker.runtimes.tabular import without_gaps
from mlops_scoring.worker.scoring import Unfit

_MAX_RANK = 32
_MAX_EMPTY = 1 << 20
"""Elements that an empty tensor may imply: [0, 10**9] holds nothing, but its sum over the first axis is 8 GB."""

Fields = Mapping[str, object]


class Binary:
    """What follows the JSON of a message.

    Args:
        content: The bytes.
    """

    def __init__(self, content: memoryview) -> None:
        """Begin at the first byte."""
        self._content = content
        self._start = 0

    @property
    def left(self) -> int:
        """Bytes that no tensor has taken."""
        return len(self._content) - self._start

    def take(self, size: int, where: str) -> memoryview:
        """The next bytes.

        Raises:
            Unfit: There are fewer.
        """
        if size > self.left:
            raise Unfit(f"{where}.parameters.binary_data_size: is {size}; {self.left} bytes are left of the body.")
        self._start += size
        return self._content[self._start - size : self._start]


def decode(numpy: Any, tensor: Fields, binary: Binary, where: str) -> Array:  # noqa: ANN401 - a module
    """The array of one tensor of a request.

    Raises:
        Unfit: Type, shape and data do not agree; the message names the field.
    """
    datatype = tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in DTYPES:
        raise Unfit(f"{where}.datatype: must be one of {', '.join(DTYPES)}.")
    shape, size = _shape(tensor.get("shape"), f"{where}.shape")
    length = _binary_size(tensor, where)
    if length is None:
        found = _from_json(numpy, tensor.get("data"), datatype, shape, f"{where}.data")
    elif "data" in tensor:
        raise Unfit(f"{where}.data: stands beside parameters.binary_data_size; a tensor has one of them.")
    else:
        found = _from_bytes(numpy, binary.take(length, where), datatype, size, where)
    if found.size != size:
        raise Unfit(f"{where}.data: has {found.size} values; the shape {list(shape)} has {size}.")
    return found.reshape(shape)


def _shape(value: object, where: str) -> tuple[tuple[int, ...], int]:
    if not isinstance(value, list) or len(value) > _MAX_RANK:
        raise Unfit(f"{where}: must be a list of at most {_MAX_RANK} lengths.")
    for place, length in enumerate(value):
        if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length < 1 << 31:
            raise Unfit(f"{where}[{place}]: must be a whole number from 0 to {(1 << 31) - 1}.")
    size = math.prod(value)
    if not size and math.prod(max(length, 1) for length in value) > _MAX_EMPTY:
        raise Unfit(f"{where}: an empty tensor of such lengths is not taken.")
    return tuple(value), size


def _binary_size(tensor: Fields, where: str) -> int | None:
    parameters = tensor.get("parameters", {})
    if not isinstance(parameters, dict):
        raise Unfit(f"{where}.parameters: must be an object.")
    if any(name.startswith("shared_memory_") for name in parameters):
        raise Unfit(f"{where}.parameters: shared memory is not supported.")
    size = parameters.get("binary_data_size")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise Unfit(f"{where}.parameters.binary_data_size: must be a number of bytes.")
    return size


def _from_json(numpy: Any, data: object, datatype: str, shape: tuple[int, ...], where: str) -> Array:  # noqa: ANN401
    if not isinstance(data, list):
        raise Unfit(f"{where}: must be a list of values.")
    found = to_array(numpy, data, DTYPES[datatype], where)
    if found.ndim > 1 and found.shape != shape:
        raise Unfit(f"{where}: is nested as {list(found.shape)}; the shape is {list(shape)}.")
    return found


def _from_bytes(numpy: Any, content: memoryview, datatype: str, size: int, where: str) -> Array:  # noqa: ANN401
    if datatype == "BYTES":
        found = numpy.empty(size, dtype=object) if 4 * size <= len(content) else None
        texts = _texts(content, size, where)
        if found is None or len(texts) != size:
            raise Unfit(f"{where}: the binary data has {len(texts)} strings; the shape has {size}.")
        found[:] = texts
        return found
    dtype = numpy.dtype(DTYPES[datatype]).newbyteorder("<")
    if len(content) != size * dtype.itemsize:
        raise Unfit(
            f"{where}.parameters.binary_data_size: is {len(content)}; the shape and {datatype} make"
            f" {size * dtype.itemsize}."
        )
    if datatype == "BOOL":
        whole = numpy.frombuffer(content, dtype="uint8")
        if size and whole.max() > 1:
            raise Unfit(f"{where}: a byte of BOOL must be 0 or 1.")
    # A copy is aligned and can be written to, as models expect.
    return numpy.frombuffer(content, dtype=dtype).astype(DTYPES[datatype])


def _texts(content: memoryview, size: int, where: str) -> list[str]:
    texts: list[str] = []
    start = 0
    while start < len(content) and len(texts) <= size:
        if start + 4 > len(content):
            raise Unfit(f"{where}: the binary data ends within the length of string {len(texts)}.")
        (length,) = struct.unpack_from("<I", content, start)
        start += 4
        if start + length > len(content):
            raise Unfit(f"{where}: the binary data ends within string {len(texts)}.")
        try:
            texts.append(str(content[start : start + length], "utf-8"))
        except UnicodeDecodeError:
            raise Unfit(f"{where}: string {len(texts)} is not UTF-8; the model takes text.") from None
        start += length
    return texts


def encode(numpy: Any, name: str, found: Array, *, binary: bool) -> tuple[dict[str, object], bytes]:  # noqa: ANN401
    """One tensor of an answer, and its binary data where that was asked for."""
    datatype = DATATYPES.get(str(found.dtype), "BYTES")
    tensor: dict[str, object] = {"name": name, "datatype": datatype, "shape": list(found.shape)}
    flat = found.reshape(-1)
    if datatype == "BYTES":
        texts = [_text(value) for value in flat.tolist()]
        if not binary:
            return tensor | {"data": [text.decode("utf-8", "replace") for text in texts]}, b""
        content = b"".join(part for text in texts for part in (struct.pack("<I", len(text)), text))
    elif binary:
        content = flat.astype(found.dtype.newbyteorder("<"), copy=False).tobytes()
    else:
        values = flat.tolist()
        if datatype.startswith("FP") and not numpy.isfinite(flat).all():
            values = without_gaps(values)
        return tensor | {"data": values}, b""
    return tensor | {"parameters": {"binary_data_size": len(content)}}, content


def _text(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode("utf-8", "surrogatepass")

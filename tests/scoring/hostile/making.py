"""Builders of malicious model files: pickles, arrays, archives."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile

COMMAND = "touch hacked"
"""What those that run a command run: a file that must never appear."""


def call(module: str, name: str, *arguments: object) -> bytes:
    """A pickle of protocol 4 that calls a function when it is loaded."""
    text = pickle.SHORT_BINUNICODE
    parts = [pickle.PROTO, b"\x04"]
    for word in (module, name):
        parts += [text, bytes([len(word.encode())]), word.encode()]
    parts += [pickle.STACK_GLOBAL, pickle.MARK]
    for argument in arguments:
        parts.append(pickle.dumps(argument, 4)[2:-1].replace(b"\x94", b""))
    return b"".join([*parts, pickle.TUPLE, pickle.REDUCE, pickle.STOP])


def old_call(module: str, name: str, argument: str) -> bytes:
    """The same in protocol 0, which begins with no mark."""
    return f"c{module}\n{name}\n(V{argument}\ntR.".encode()


def dtype(code: str, state: bytes = b"") -> bytes:
    """Opcodes that make a NumPy type, and give it a state."""
    made = f"cnumpy\ndtype\n(V{code}\nI00\nI01\ntR".encode()
    return made + (state + b"b" if state else b"")


WRAPPER = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n"
PLAIN = WRAPPER + pickle.EMPTY_TUPLE + pickle.NEWOBJ
NDARRAY = b"cnumpy\nndarray\n"


def state(shape: bytes, kind: bytes, more: bytes = b"") -> bytes:
    """Opcodes that give a joblib array its state."""
    return (
        b"}(Vsubclass\n"
        + NDARRAY
        + b"Vshape\n"
        + shape
        + b"Vorder\nVC\nVdtype\n"
        + kind
        + b"Vallow_mmap\nI00\n"
        + more
        + b"ub"
    )


def wrapper(hidden: bytes, shape: tuple[int, ...], code: str = "u1") -> bytes:
    """A joblib array whose bytes are `hidden`; `pickle.load` would run them."""
    return b"\x80\x04" + PLAIN + state(pickle.dumps(shape, 2)[2:-1], dtype(code)) + hidden + b"."


def passed_over(hidden: bytes) -> bytes:
    """Opcodes that the machine runs when it stands in them, but passes over as a text when it stands before them."""
    return b"\x8e" + struct.pack("<Q", len(hidden)) + hidden


def padded(hidden: bytes) -> bytes:
    """The same for a machine that takes the first byte as a number of bytes to pass over, here 142."""
    padding = bytes(0x8E - 8)
    return b"\x8e" + struct.pack("<Q", len(padding) + len(hidden)) + padding + hidden


def tar_head(name: bytes) -> bytes:
    """An empty member of a tar archive under a name that may be a pickle; 100 bytes at most."""
    head = bytearray(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT))
    head[: len(name)] = name
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def array(kind: bytes, content: bytes) -> bytes:
    """A NumPy array of a type that opcodes make."""
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntC\x01btR"
    return b"\x80\x03" + made + b"(I1\n(I1\nt" + kind + b"I00\nC" + bytes([len(content)]) + content + b"tb."


def archive(members: dict[str, bytes]) -> bytes:
    """A zip archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return made.getvalue()


def tape(members: dict[str, bytes], mode: str = "w") -> bytes:
    """A tar archive."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as file:  # type: ignore[call-overload] # any mode, as a text
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return made.getvalue()


def two_directories(seen: bytes, hidden: bytes) -> bytes:
    """A zip archive whose end points to one directory, and stands behind another one."""
    at = seen.rindex(b"PK\x05\x06")
    end = seen[at:]
    return seen[:at] + hidden[: hidden.rindex(b"PK\x05\x06")] + _padded_directory(hidden, end)


def two_large_directories(seen: bytes, hidden: bytes) -> bytes:
    """The same with the records of large archives; the directory is found by other means."""
    at, other = seen.rindex(b"PK\x05\x06"), hidden.rindex(b"PK\x05\x06")
    body = seen[:at]
    records = []
    for made, place in ((seen, at), (hidden, other)):
        count, size = struct.unpack_from("<H", made, place + 10)[0], struct.unpack_from("<L", made, place + 12)[0]
        start = place - size
        records.append(struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start))
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(body), 1)
    return body + records[0] + hidden[:other] + records[1] + locator + seen[at:]


def _padded_directory(hidden: bytes, end: bytes) -> bytes:
    """The end record with the size of the directory before it, but the other one's place."""
    size = struct.unpack_from("<L", hidden, hidden.rindex(b"PK\x05\x06") + 12)[0]
    return end[:12] + struct.pack("<L", size) + end[16:]


def npy(descr: str, content: bytes = b"") -> bytes:
    """A NumPy file."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


SHELL = call("os", "system", COMMAND)
OLD = old_call("os", "system", COMMAND)

"""What kind of file this is, as far as pickles are concerned; by content first, by name second."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import IO

MAX_EXPANDED = 8 * 1024**3
"""Bytes that a compressed file may become; more is refused."""

_MAX_RATIO = 2000
_DAMAGED = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)
_GZIP = b"\x1f\x8b"
_BZ2 = b"BZh"
_XZ = b"\xfd7zXZ"
_LZMA = b"\x5d\x00\x00"
_ZLIB_FIRST = 0x78
_UNREADABLE = (b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd", b"ZF")  # LZ4, Zstandard, joblib before 0.10
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")

_PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".pck", ".p", ".joblib", ".jl", ".dill", ".cloudpickle", ".skops"})
_RISKY_SUFFIXES = frozenset({".pt", ".pth", ".bin", ".ckpt", ".npy", ".npz"})
_INERT_SUFFIXES = frozenset(
    {".onnx", ".safetensors", ".json", ".txt", ".csv", ".tsv", ".yaml", ".yml", ".toml", ".md", ".parquet", ".arrow"}
    | {".png", ".jpg", ".jpeg", ".html", ".xml", ".ubj", ".cbm", ".pmml", ".tflite", ".pb", ".model", ".gguf", ".lock"}
)
_INERT_NAMES = frozenset({"MLmodel", "LICENSE", "README"})


class Format(StrEnum):
    """Kinds of files; `PICKLE` has joblib's files in it, compressed ones too."""

    PICKLE = "pickle"
    SKOPS = "skops"
    ARCHIVE = "archive"
    NUMPY = "numpy"
    INERT = "inert"
    UNKNOWN = "unknown"


class Unreadable(ValueError):
    """A file that cannot be understood, and so is refused."""


def detect(path: Path) -> Format:
    """Tell the format of a file.

    A pickle of an old protocol begins with no mark, so the name decides where the content does not.
    """
    with path.open("rb") as file:
        head = file.read(8)
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if head.startswith(_ZIP):
        return _zip_format(path)
    if head.startswith(b"\x93NUMPY"):
        return Format.NUMPY
    if _starts_like_pickle(head) or suffixes & _PICKLE_SUFFIXES or _expands_to_pickle(path, head):
        return Format.PICKLE
    if path.suffix.lower() in _INERT_SUFFIXES or path.name in _INERT_NAMES:
        return Format.INERT
    return Format.UNKNOWN


def may_hold_pickle(path: Path) -> bool:
    """Whether loading this file the usual way may unpickle something; such files have to pass `scan`."""
    found = detect(path)
    if found is Format.UNKNOWN:
        return path.suffix.lower() in _RISKY_SUFFIXES
    return found is not Format.INERT


def compressed(head: bytes) -> bool:
    """Whether a file that begins so is one of joblib's compressed forms."""
    zlib_mark = len(head) > 1 and head[0] == _ZLIB_FIRST and (head[0] * 256 + head[1]) % 31 == 0
    return head.startswith((_GZIP, _BZ2, _XZ, _LZMA)) or zlib_mark


def _starts_like_pickle(head: bytes) -> bool:
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5


def _expands_to_pickle(path: Path, head: bytes) -> bool:
    if not compressed(head):
        return False
    try:
        return _starts_like_pickle(_expand(path, head, 8, whole=False))
    except _DAMAGED:
        return False


def _zip_format(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            return Format.SKOPS if "schema.json" in archive.namelist() else Format.ARCHIVE
    except (zipfile.BadZipFile, OSError, ValueError):
        return Format.UNKNOWN


def open_expanded(path: Path) -> IO[bytes]:
    """Open a pickle or joblib file, expanded where it is compressed.

    Raises:
        Unreadable: Compressed in a way that is not read here, damaged, or suspiciously large when expanded.
    """
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(_UNREADABLE):
        raise Unreadable("compressed in a form that cannot be checked; write it with zlib, gzip, bz2, xz or lzma")
    if not compressed(head):
        return path.open("rb")
    limit = min(MAX_EXPANDED, max(path.stat().st_size, 1024) * _MAX_RATIO)
    try:
        return BytesIO(_expand(path, head, limit, whole=True))
    except _DAMAGED as error:
        raise Unreadable(f"cannot be expanded: {error}") from None


def _expand(path: Path, head: bytes, limit: int, *, whole: bool) -> bytes:
    """The content of a compressed file, up to `limit` bytes; with `whole`, that has to be all of it."""
    if head[0] == _ZLIB_FIRST:
        machine = zlib.decompressobj()
        data = machine.decompress(path.read_bytes(), limit + 1)
        complete = machine.eof
    else:
        opener = gzip.open if head.startswith(_GZIP) else bz2.open if head.startswith(_BZ2) else lzma.open
        with opener(path, "rb") as file:
            data, complete = file.read(limit + 1), True
    if whole and len(data) > limit:
        raise ValueError(f"it becomes more than {limit} bytes")
    if whole and not complete:
        raise EOFError("it ends too early")
    return data

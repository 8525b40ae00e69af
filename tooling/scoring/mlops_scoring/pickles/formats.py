"""What kind of file this is, as far as pickles are concerned; by content first, by name second."""

from __future__ import annotations

import contextlib
import io
import tarfile
import zipfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path, PurePath
from typing import IO, Any

from mlops_scoring.pickles.directory import SEARCHED
from mlops_scoring.pickles.expanding import DAMAGED, compressed, head_of, most, pieces, uncheckable
from mlops_scoring.pickles.numpy_files import MARK
from mlops_scoring.pickles.scanner import Lazy, Skipping
from mlops_scoring.pickles.walking import acts

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
"""What a zip archive begins with, unless something stands before it."""

HEAD = 512
"""Bytes of a tar file's first header."""

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
    COMPRESSED = "compressed"
    NUMPY = "numpy"
    INERT = "inert"
    UNKNOWN = "unknown"


def detect(path: Path) -> Format:
    """Tell the format of a file.

    A pickle of an old protocol begins with no mark: where neither content nor name tell, it is tried.
    """
    with path.open("rb") as file:
        return classify(file, path.name)


def may_hold_pickle(path: Path) -> bool:
    """Whether loading this file the usual way may unpickle something; such files have to pass `scan`."""
    found = detect(path)
    if found is Format.UNKNOWN:
        return path.suffix.lower() in _RISKY_SUFFIXES
    return found is not Format.INERT


def classify(file: IO[bytes], name: str, *, member: bool = False) -> Format:
    """Tell the format of an open file, which stands at its beginning afterwards.

    Args:
        file: The file; it can seek.
        name: Its name, with a suffix.
        member: It lies in an archive, where raw numbers may look like the beginning of a pickle.
    """
    head = head_of(file, HEAD)
    plain = PurePath(name)
    suffixes = {suffix.lower() for suffix in plain.suffixes}
    marked = _marked(head)
    acting = (marked and not member) or _acts(file, head, marked=marked)
    file.seek(0)
    found = Format.PICKLE if acting else _by_content(file, head)
    if found is not None:
        return found
    if suffixes & _PICKLE_SUFFIXES or uncheckable(head):
        return Format.PICKLE
    if compressed(head):
        found = _inside(file, head)
    elif zipfile.is_zipfile(file):
        found = Format.ARCHIVE
    file.seek(0)
    if found is not None:
        return found
    inert = plain.suffix.lower() in _INERT_SUFFIXES or plain.name in _INERT_NAMES
    return Format.INERT if inert else Format.UNKNOWN


def _acts(file: IO[bytes], head: bytes, *, marked: bool) -> bool:
    """Whether it runs something, whatever else it is: a tar file, and what stands before a zip file, may be anything.

    What begins as a zip file does ends a pickle at once, for "P" is a persistent id.
    """
    return not head.startswith(ZIP) and acts(Skipping(file), marked=marked)


def _marked(head: bytes) -> bool:
    return len(head) > 1 and head[0] == 0x80 and head[1] <= 5


def _by_content(file: IO[bytes], head: bytes) -> Format | None:
    if head.startswith(ZIP):
        with contextlib.suppress(zipfile.BadZipFile, *DAMAGED), zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            file.seek(0)
            return Format.SKOPS if "schema.json" in names else Format.ARCHIVE
        return Format.ARCHIVE
    if head.startswith(MARK):
        return Format.NUMPY
    return Format.ARCHIVE if is_tar(head) else None


def is_tar(head: bytes) -> bool:
    """Whether a file that begins with these 512 bytes is a tar archive."""
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _inside(file: IO[bytes], head: bytes) -> Format | None:
    """What a compressed file holds, if that is of interest; damage further on does not hide what stands before it."""
    inner = _first(file, head)
    if inner.startswith((*ZIP, MARK)) or compressed(inner) or uncheckable(inner) or is_tar(inner):
        return Format.COMPRESSED
    if _marked(inner):
        return Format.PICKLE
    file.seek(0)
    stream = io.BufferedReader(_Joined(pieces(file, head)))
    if acts(Lazy(stream), marked=False):
        return Format.PICKLE
    return Format.COMPRESSED if _ends_as_zip(file, head) else None


def _ends_as_zip(file: IO[bytes], head: bytes) -> bool:
    """Whether what is compressed may be a zip archive with something before it; what is too large may be."""
    limit, size, tail = most(file), 0, b""
    with contextlib.suppress(*DAMAGED):
        for piece in pieces(file, head):
            size += len(piece)
            if size > limit:
                return True
            tail = (tail + piece)[-SEARCHED:]
    return ZIP[1] in tail


def _first(file: IO[bytes], head: bytes) -> bytes:
    """The first bytes of what is compressed."""
    found = b""
    with contextlib.suppress(*DAMAGED):
        for piece in pieces(file, head):
            found += piece
            if len(found) >= HEAD:
                break
    return found[:HEAD]


class _Joined(io.RawIOBase):
    """Pieces as one stream."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        super().__init__()
        self._parts = parts
        self._rest = b""
        self._given = 0

    def tell(self) -> int:
        """Bytes given so far; a stream that cannot seek may say so too."""
        return self._given

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - any writable buffer
        if not self._rest:
            self._rest = self._next()
        taken, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        self._given += len(taken)
        return len(taken)

    def _next(self) -> bytes:
        with contextlib.suppress(*DAMAGED):
            return next((part for part in self._parts if part), b"")
        return b""

"""The names in a file of any format: in its stream, or in the members of an archive."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import tarfile
import zipfile
from pathlib import PurePath
from typing import IO

from mlops_scoring.pickles.expanding import (
    MAX_EXPANDED,
    MAX_RATIO,
    Unreadable,
    compressed,
    expanded,
    head_of,
    uncheckable,
)
from mlops_scoring.pickles.formats import Format, classify
from mlops_scoring.pickles.scanner import Scanner, Skipping
from mlops_scoring.pickles.skops_schema import skops_names
from mlops_scoring.pickles.standins import WRAPPER

_MAX_DEPTH = 3
_HEADER = 128 * 1024
_PLAIN_CODE = re.compile(r"[<>=|]?[biufcmMSUV?]\d*(?:\[\d*[A-Za-z]+\])?")


def names_in(file: IO[bytes], name: str, found: Format, depth: int = 0) -> set[str] | None:
    """Names in a file; None when it holds no pickle.

    Args:
        file: It can seek, and stands at its beginning.
        name: Its name.
        found: Its format.
        depth: Archives around it.

    Raises:
        Exception: It cannot be understood.
    """
    if depth > _MAX_DEPTH:
        raise Unreadable("archives within archives, too deep to follow")
    match found:
        case Format.SKOPS | Format.ARCHIVE:
            zipped = zipfile.is_zipfile(file)
            file.seek(0)
            return _zip_names(file, found, depth) if zipped else _tar_names(file, depth)
        case Format.NUMPY:
            _refuse_objects(file.read(_HEADER))
            return None
        case Format.INERT | Format.UNKNOWN:
            return None
        case Format.COMPRESSED:
            with expanded(file) as inner:
                plain = PurePath(name).stem
                return names_in(inner, plain, classify(inner, plain), depth + 1)
        case Format.PICKLE:
            return _pickle_names(file, archived=depth > 0)


def _pickle_names(file: IO[bytes], *, archived: bool) -> set[str]:
    head = head_of(file, 8)
    if not compressed(head) and not uncheckable(head):
        return _stream_names(file, archived=archived)
    with expanded(file) as inner:
        return _stream_names(inner, archived=archived)


def _stream_names(file: IO[bytes], *, archived: bool) -> set[str]:
    names: set[str] = set()
    source = Skipping(file)
    Scanner(source, names, archived=archived).load()
    # Some programs put several pickles in one file, and a reader may load them all.
    while source.rest:
        Scanner(source, names, archived=archived).load()
    if WRAPPER in names:
        # What passes for an array here may be opcodes to a script that calls pickle.load: look at those names too.
        file.seek(0)
        with contextlib.suppress(Exception):
            Scanner(Skipping(file), names, joblib=False).load()
    return names


def _refuse_objects(head: bytes) -> None:
    """Refuse a NumPy file of objects: NumPy unpickles those."""
    start = 10 if head[6:7] == b"\x01" else 12
    length = int.from_bytes(head[8:start], "little")
    described = ast.literal_eval(head[start : start + length].decode("latin-1").strip())
    _check_codes(described["descr"])


def _check_codes(descr: object) -> None:
    match descr:
        case str() if _PLAIN_CODE.fullmatch(descr):
            return
        case list():
            for _, code, *_ in descr:
                _check_codes(code)
        case _:
            raise Unreadable("an array of objects, which NumPy unpickles, or of a type that cannot be checked")


def _zip_names(file: IO[bytes], found: Format, depth: int) -> set[str] | None:
    names: set[str] | None = set() if found is Format.SKOPS else None
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            too_large = member.file_size > max(member.compress_size, 1024) * MAX_RATIO
            if too_large or member.file_size > MAX_EXPANDED:
                raise Unreadable(f"its member {member.filename} becomes too large")
            with archive.open(member) as content:
                if found is Format.SKOPS and member.filename == "schema.json":
                    names = (names or set()) | skops_names(json.loads(content.read()))
                else:
                    names = _joined(names, _member_names(content, member.filename, depth))
    return names


def _tar_names(file: IO[bytes], depth: int) -> set[str] | None:
    names: set[str] | None = None
    with tarfile.TarFile.taropen("", fileobj=file) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content is not None:
                names = _joined(names, _member_names(content, member.name, depth))
    return names


def _member_names(content: IO[bytes], name: str, depth: int) -> set[str] | None:
    return names_in(content, name, classify(content, name, member=True), depth + 1)


def _joined(names: set[str] | None, more: set[str] | None) -> set[str] | None:
    return names if more is None else (names or set()) | more

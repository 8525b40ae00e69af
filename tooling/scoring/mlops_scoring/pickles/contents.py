"""The names in a file of any format: in its stream, or in the members of an archive."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import PurePath
from typing import IO

from mlops_scoring.pickles.directory import refuse_two_directories
from mlops_scoring.pickles.expanding import HEAD as EXPANDING_HEAD
from mlops_scoring.pickles.expanding import (
    MAX_EXPANDED,
    MAX_RATIO,
    Unreadable,
    compressed,
    expanded,
    head_of,
    uncheckable,
)
from mlops_scoring.pickles.formats import HEAD, ZIP, Format, classify, is_tar
from mlops_scoring.pickles.numpy_files import refuse_objects
from mlops_scoring.pickles.scanner import Scanner, Skipping
from mlops_scoring.pickles.skops_schema import skops_names
from mlops_scoring.pickles.standins import WRAPPER
from mlops_scoring.pickles.walking import Walk

_MAX_DEPTH = 3
_PIECE = 1 << 20


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
    names = _names(file, name, found, depth)
    # A file may be several things at once: a zip archive may have anything before it, a tar archive anything behind.
    if zipfile.is_zipfile(file):
        names = _joined(names, _zip_names(file, depth))
    if is_tar(head_of(file, HEAD)):
        names = _joined(names, _tar_names(file, depth))
    return names


def _names(file: IO[bytes], name: str, found: Format, depth: int) -> set[str] | None:
    match found:
        case Format.SKOPS | Format.ARCHIVE:
            _check_archive(file)
        case Format.NUMPY:
            refuse_objects(file)
        case Format.COMPRESSED:
            with expanded(file) as inner:
                plain = PurePath(name).stem
                return names_in(inner, plain, classify(inner, plain), depth + 1)
        case Format.PICKLE:
            return _pickle_names(file, name, depth)
        case Format.INERT | Format.UNKNOWN:
            pass
    return None


def _check_archive(file: IO[bytes]) -> None:
    if head_of(file, 4) in ZIP:
        refuse_two_directories(file)
    elif not zipfile.is_zipfile(file) and not is_tar(head_of(file, HEAD)):
        raise Unreadable("a damaged archive")


def _pickle_names(file: IO[bytes], name: str, depth: int) -> set[str]:
    head = head_of(file, EXPANDING_HEAD)
    if not compressed(head) and not uncheckable(head):
        return _stream_names(file, archived=depth > 0)
    with expanded(file) as inner:
        names = _stream_names(inner, archived=depth > 0)
        # It may be something else besides.
        plain = PurePath(name).stem
        return names | (names_in(inner, plain, Format.UNKNOWN, depth + 1) or set())


def _stream_names(file: IO[bytes], *, archived: bool) -> set[str]:
    names: set[str] = set()
    source = Skipping(file)
    Scanner(source, names, archived=archived).load()
    several = bool(source.rest)
    # Some programs put several pickles in one file, and a reader may load them all.
    while source.rest:
        Scanner(source, names, archived=archived).load()
    if WRAPPER in names or several:
        # What passes for an array here may be opcodes to a script that calls pickle.load, and a script that reads
        # several pickles by one machine carries its memo from one to the next: look at those names too.
        file.seek(0)
        walk = Walk(Skipping(file))
        walk.run()
        if walk.torn:
            raise Unreadable("a frame within an array")
        names |= walk.names
    return names


def _zip_names(file: IO[bytes], depth: int) -> set[str] | None:
    names: set[str] | None = None
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            too_large = member.file_size > max(member.compress_size, 1024) * MAX_RATIO
            if too_large or member.file_size > MAX_EXPANDED:
                raise Unreadable(f"its member {member.filename} becomes too large")
            with archive.open(member) as content:
                if member.filename == "schema.json":
                    names = (names or set()) | skops_names(json.loads(content.read()))
                else:
                    names = _joined(names, _member_names(content, member.filename, depth))
    return names


def _tar_names(file: IO[bytes], depth: int) -> set[str] | None:
    names: set[str] | None = None
    file.seek(0)
    with tarfile.TarFile.taropen("", fileobj=file) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content is not None:
                names = _joined(names, _member_names(content, member.name, depth))
        file.seek(archive.offset)
    while piece := file.read(_PIECE):
        if piece.count(0) != len(piece):
            raise Unreadable("an archive with something behind its end")
    return names


def _member_names(content: IO[bytes], name: str, depth: int) -> set[str] | None:
    return names_in(content, name, classify(content, name, member=True), depth + 1)


def _joined(names: set[str] | None, more: set[str] | None) -> set[str] | None:
    return names if more is None else (names or set()) | more

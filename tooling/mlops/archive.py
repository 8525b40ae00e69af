"""Directories as deterministic tar archives: one digest for one content, on any machine, at any time.

An archive holds regular files only, by sorted POSIX path, with owner 0, no owner names, time 0 and mode 0644 or 0755,
in the PAX format. Version control, bytecode and this toolkit's own folder are left out.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from mlops.errors import Diagnostic, InvalidRepository, Location, TargetError

if TYPE_CHECKING:
    import tarfile

LEFT_OUT_DIRECTORIES = frozenset({".git", ".mlops", "__pycache__"})
LEFT_OUT_SUFFIXES = (".pyc",)

_CHUNK = 1 << 20
_BLOCK = 512
_END = bytes(2 * _BLOCK)


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One file of a directory that is packed.

    Attributes:
        path: POSIX path relative to the directory.
        source: Where the file is.
        stat: Its `os.lstat` result at the time of the walk.
    """

    path: str
    source: Path
    stat: os.stat_result

    @property
    def executable(self) -> bool:
        """Whether its owner may execute it, the one permission that Git keeps too."""
        return bool(self.stat.st_mode & stat.S_IXUSR)


def members(directory: Path) -> tuple[Member, ...]:
    """The files that are packed, in the archive's order.

    Raises:
        InvalidRepository: Links, devices, names that are not UTF-8, or folders that cannot be read; all of them.
    """
    found: list[Member] = []
    problems: list[Diagnostic] = []
    _walk(directory, "", found, problems)
    if problems:
        raise InvalidRepository(*problems)
    return tuple(sorted(found, key=lambda member: member.path.encode()))


def pack(directory: Path) -> bytes:
    """The archive of a directory, in memory.

    Raises:
        InvalidRepository: See `members`; or a file changed while it was read.
    """
    buffer = io.BytesIO()
    write(directory, buffer)
    return buffer.getvalue()


def write(directory: Path, stream: BinaryIO) -> str:
    """Write the archive of a directory to a stream, with constant memory; return its sha256.

    Raises:
        InvalidRepository: See `members`; or a file changed while it was read.
    """
    return _emit(directory, stream.write)


def digest_directory(directory: Path) -> str:
    """Sha256 of the archive of a directory, without making the archive.

    Raises:
        InvalidRepository: See `members`; or a file changed while it was read.
    """
    return _emit(directory, None)


def unpack(archive: Path, target: Path) -> None:
    """Write an archive's files below a folder that is empty or absent.

    The archive need not be one of ours: anything but regular files with plain relative names is refused, and no file
    is written outside the folder or twice.

    Raises:
        TargetError: The archive is damaged, holds what is refused, or the folder is not empty.
    """
    import tarfile  # noqa: PLC0415 - 10 ms that only a put needs

    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise _refusal(archive, f"The folder {target} is not empty.")
    seen: set[str] = set()
    try:
        with tarfile.open(archive, mode="r:") as opened:
            for info in opened:
                name = _plain_name(archive, info)
                if name in seen:
                    raise _refusal(archive, f'It holds "{name}" twice.')
                seen.add(name)
                _extract(archive, opened, info, target / name)
    except tarfile.TarError as error:
        raise _refusal(archive, f"It cannot be read: {error}.") from error
    except OSError as error:
        raise _refusal(archive, f"{error.filename or target} cannot be written: {error.strerror}.") from error


def _walk(directory: Path, prefix: str, found: list[Member], problems: list[Diagnostic]) -> None:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                _visit(entry, prefix, found, problems)
    except OSError as error:
        problems.append(
            Diagnostic("Folder cannot be read", f"{error.strerror}.", Location(str(directory)), "Mend its permissions.")
        )


def _visit(entry: os.DirEntry[str], prefix: str, found: list[Member], problems: list[Diagnostic]) -> None:
    path = prefix + entry.name
    where = Location(os.fsencode(entry.path).decode(errors="backslashreplace"))
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        if entry.name not in LEFT_OUT_DIRECTORIES:
            _walk(Path(entry.path), path + "/", found, problems)
    elif not stat.S_ISREG(status.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "neither a file nor a folder"
        problems.append(
            Diagnostic("Not a regular file", f"It is {what}.", where, "Put the file itself in its place, or remove it.")
        )
    elif not _is_utf8(path):
        problems.append(Diagnostic("File name is not UTF-8", "", where, "Rename the file."))
    elif not entry.name.endswith(LEFT_OUT_SUFFIXES):
        found.append(Member(path, Path(entry.path), status))


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _emit(directory: Path, sink: Callable[[bytes], object] | None) -> str:
    hasher = hashlib.sha256()
    for member in members(directory):
        for chunk in _member_chunks(member):
            hasher.update(chunk)
            if sink:
                sink(chunk)
    hasher.update(_END)
    if sink:
        sink(_END)
    return hasher.hexdigest()


def _member_chunks(member: Member) -> Iterator[bytes]:
    import tarfile  # noqa: PLC0415 - 10 ms that a warm plan does not need

    info = tarfile.TarInfo(member.path)
    info.size = member.stat.st_size
    info.mode = 0o755 if member.executable else 0o644
    yield info.tobuf(format=tarfile.PAX_FORMAT, encoding="utf-8", errors="strict")
    left = info.size
    try:
        with member.source.open("rb", buffering=0) as stream:
            while left:
                chunk = stream.read(min(left, _CHUNK))
                if not chunk:
                    raise _changed(member)
                left -= len(chunk)
                yield chunk
            if stream.read(1):
                raise _changed(member)
    except OSError as error:
        raise InvalidRepository(
            Diagnostic("File cannot be read", f"{error.strerror}.", Location(str(member.source)), "Check the file.")
        ) from error
    yield bytes(-info.size % _BLOCK)


def _changed(member: Member) -> InvalidRepository:
    return InvalidRepository(
        Diagnostic("File changed while it was read", "", Location(str(member.source)), "Run the command again.")
    )


def _plain_name(archive: Path, info: tarfile.TarInfo) -> str:
    parts = PurePosixPath(info.name).parts
    plain = info.name and info.name == "/".join(parts) and ".." not in parts and "\\" not in info.name
    if not plain or info.name.startswith("/") or "\0" in info.name:
        raise _refusal(archive, f"It holds {info.name!r}, which is no plain relative name.")
    if not info.isreg() or info.sparse:
        raise _refusal(archive, f"It holds {info.name!r}, which is not a regular file.")
    return info.name


def _extract(archive: Path, opened: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> None:
    stream = opened.extractfile(info)
    if stream is None:
        raise _refusal(archive, f"It holds {info.name!r}, which is not a regular file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o755 if info.mode & stat.S_IXUSR else 0o644
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    written = 0
    with os.fdopen(descriptor, "wb") as output:
        while chunk := stream.read(_CHUNK):
            written += output.write(chunk)
    if written != info.size:
        raise _refusal(archive, f"It ends within {info.name!r}.")


def _refusal(archive: Path, detail: str) -> TargetError:
    return TargetError(
        Diagnostic(
            "Archive refused", detail, Location(str(archive)), "Run the apply again: it is made from its folder."
        )
    )

"""Model files and code on disk for workers, by digest, taken from the registry's blobs."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mlops import archive
from mlops.driver import Blobs
from mlops.drivers.local.folders import Folders, exclusive, make_once, remove
from mlops.errors import Diagnostic, TargetError

_LARGE = 64 << 20
"""From this size on a file is linked rather than copied where the file system cannot clone; bytes."""

_CLONE = 0x40049409
"""ioctl_ficlone(2) of Linux: two files share their blocks until one of them is written."""

_CHUNK = 1 << 20


def files_digest(files: Mapping[str, str]) -> str:
    """Digest of several files: that of their sorted `sha256sum` lines."""
    lines = sorted(f"{sha256}  {path}\n" for path, sha256 in files.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def ensure_model(folders: Folders, blobs: Blobs, files: Mapping[str, str]) -> Path:
    """A folder with a model's files, read-only.

    Workers check every digest again when they start; here a folder that somebody took files from is made anew.

    Raises:
        TargetError: A blob is missing or damaged.
    """
    home = folders.models / files_digest(files)

    def fill(part: Path) -> None:
        for path, sha256 in files.items():
            target = part / _plain(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            _place(blobs.path(sha256), target, sha256)

    with exclusive(folders.models / f".{home.name}.check.lock"):
        if home.is_dir() and not all((home / path).is_file() for path in files):
            remove(home)
        make_once(home, fill)
    return home


def ensure_code(folders: Folders, blobs: Blobs, sha256: str) -> Path:
    """A folder with a code directory's files.

    Raises:
        TargetError: The blob is missing, damaged, or no archive of ours.
    """
    home = folders.code / sha256
    with exclusive(folders.code / f".{sha256}.check.lock"):
        if home.is_dir() and archive.digest_directory(home) != sha256:
            remove(home)
        make_once(home, lambda part: archive.unpack(blobs.path(sha256), part))
    return home


def _place(blob: Path, target: Path, sha256: str) -> None:
    """Clone, link or copy a file whose digest was checked by whoever gave it."""
    if _clone(blob, target):
        target.chmod(0o444)
    elif blob.stat().st_size >= _LARGE and _link(blob, target):
        return
    else:
        _copy(blob, target, sha256)
        target.chmod(0o444)


def _clone(blob: Path, target: Path) -> bool:
    import fcntl  # noqa: PLC0415 - absent on Windows, where the module must be importable still

    with blob.open("rb") as source, target.open("wb") as output:
        try:
            fcntl.ioctl(output.fileno(), _CLONE, source.fileno())
        except OSError:
            return False
    return True


def _link(blob: Path, target: Path) -> bool:
    try:
        target.unlink(missing_ok=True)
        os.link(blob, target)
    except OSError:
        return False
    return True


def _copy(blob: Path, target: Path, sha256: str) -> None:
    hasher = hashlib.sha256()
    with blob.open("rb") as source, target.open("wb") as output:
        while chunk := source.read(_CHUNK):
            hasher.update(chunk)
            output.write(chunk)
    shutil.copystat(blob, target)
    if hasher.hexdigest() != sha256:
        raise TargetError(
            Diagnostic(
                "Content is damaged",
                f"The registry's copy of sha256:{sha256} has other bytes.",
                todo="Have the registry checked, and restore the file from where the model came from.",
                command="mlops model verify",
            )
        )


def _plain(path: str) -> PurePosixPath:
    plain = PurePosixPath(path)
    if plain.is_absolute() or ".." in plain.parts or not plain.parts:
        raise TargetError(
            Diagnostic(
                "Not a relative path", f'A model\'s file is called "{path}".', todo="Register it by a plain name."
            )
        )
    return plain

"""Model files are checked before anything reads them: each is the one that Git names, and there is no other.

A path is opened once here and once by whatever loads the model. What is swapped in between is noticed afterwards: every
file has to have the same inode, size and times of change as when it was read here, and the last of these is the
kernel's to set. A worker whose files changed meanwhile never answers a request.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_scoring.worker.scoring import StartFailed

_TICK_NANOSECONDS = 20_000_000
"""Twice the longest tick that Linux can be built with (CONFIG_HZ=100)."""

Mark = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of change of content and of anything, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Files that were as declared at one moment.

    Attributes:
        directory: Where they are.
        files: What they were declared to be.
        marks: What shows whether they still are.
        young: Those that had changed so shortly before that a further change may not show in their marks.
    """

    directory: str
    files: Mapping[str, str]
    marks: Mapping[str, Mark]
    young: frozenset[str] = frozenset()

    def confirm(self) -> None:
        """Compare the marks; to be called when the model is loaded.

        Raises:
            StartFailed: A file was changed or replaced since.
        """
        for name, mark in self.marks.items():
            try:
                found = _mark(Path(self.directory, name).stat())
            except OSError:
                found = None
            if found is None or found[:-1] != mark[:-1]:
                raise StartFailed(f"the model file {name} was changed while the model was loaded")
            # Another name for the same content was made or removed; or its bytes went and came back, or may have.
            if found != mark or name in self.young:
                _check(os.path.realpath(self.directory), self.directory, name, self.files[name])


def verify(directory: str, files: Mapping[str, str]) -> Checked:
    """Compare the sha256 of every declared file, and look for others.

    Args:
        directory: The model's folder.
        files: sha256 by path; empty where nothing is declared, and then nothing is checked.

    Raises:
        StartFailed: A file is missing, cannot be read, lies elsewhere, has another content, or is not declared.
    """
    if not files:
        return Checked(directory, {}, {})
    root = os.path.realpath(directory)
    for name in sorted(_present(directory)):
        if name not in files:
            raise StartFailed(f"the model folder has {name}, which is not declared")
    settled = time.time_ns() - _TICK_NANOSECONDS
    marks = {name: _check(root, directory, name, files[name]) for name in sorted(files)}
    young = frozenset(name for name, mark in marks.items() if mark[-1] > settled)
    return Checked(directory, files, marks, young)


def _present(directory: str) -> Iterator[str]:
    """Everything in the folder but folders, by its path below it."""

    def complain(error: OSError) -> None:
        raise StartFailed(f"the model folder cannot be read: {error.strerror}") from None

    for folder, below, names in os.walk(directory, onerror=complain):
        links = (name for name in below if Path(folder, name).is_symlink())  # os.walk does not follow them
        for name in (*names, *links):
            yield str(Path(folder, name).relative_to(directory))


def _check(root: str, directory: str, name: str, expected: str) -> Mark:
    path = Path(directory, name)
    inside = os.path.realpath(path.parent)
    if inside != root and not inside.startswith(f"{root}{os.sep}"):
        raise StartFailed(f"the model file {name} lies outside the model folder")
    try:
        # Not a link, and not a pipe, whose opening would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        text = "is a symbolic link" if path.is_symlink() else f"cannot be read: {error.strerror}"
        raise StartFailed(f"the model file {name} {text}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise StartFailed(f"the model file {name} is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        try:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise StartFailed(f"the model file {name} cannot be read: {error.strerror}") from None
        if found != expected:
            raise StartFailed(f"the model file {name} is not the declared one: sha256 {found}, declared {expected}")
        return _mark(status)


def _mark(status: os.stat_result) -> Mark:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

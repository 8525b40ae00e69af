"""A hidden folder beside a model's documents, in which files wait until they are complete.

It is on the file system of its destination, so that one rename makes it visible, and hidden, so that no document is
looked for in it. Its maker holds a lock on it; what a killed process left is swept by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from mlops.errors import Diagnostic, InvalidRepository
from mlops.pipeline.workspace import Workspace

_PREFIX = ".incoming-"


def model_folder(workspace: Workspace, name: str) -> Path:
    """The folder of a model's versions, made where there is none.

    Raises:
        InvalidRepository: It is a link, and would lead elsewhere.
    """
    folder = workspace.root / "models" / name
    for part in (folder.parent, folder):
        if part.is_symlink():
            todo = "Put the folder itself in its place."
            raise InvalidRepository(Diagnostic("Symbolic link", f"{part} leads elsewhere.", todo=todo))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A new hidden folder; what is still in it at the end is removed.

    Raises:
        OSError: It cannot be made.
    """
    _sweep(folder)
    staged, descriptor = _make(folder)
    try:
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        os.close(descriptor)


def _make(folder: Path) -> tuple[Path, int]:
    while True:
        staged = folder / f"{_PREFIX}{secrets.token_hex(4)}"
        staged.mkdir()
        with contextlib.suppress(FileNotFoundError):  # a sweeper came between
            descriptor = os.open(staged, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if staged.exists():
                return staged, descriptor
            os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove hidden folders whose makers are gone."""
    for left in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(descriptor)

"""Where things are below `.mlops/`, and how they are made there so that no reader sees half of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one compute in one clone.

    Attributes:
        root: The repository's root.
        compute: The compute's name.
    """

    root: Path
    compute: str

    @property
    def all_endpoints(self) -> Path:
        """Holds one folder for each compute."""
        return self.root / ".mlops" / "endpoints"

    @property
    def endpoints(self) -> Path:
        """Holds one folder for each endpoint of the compute."""
        return self.all_endpoints / self.compute

    @property
    def models(self) -> Path:
        """Model files by the digest of all of them."""
        return self.root / ".mlops" / "models"

    @property
    def code(self) -> Path:
        """Code directories by the digest of their archive."""
        return self.root / ".mlops" / "code"

    @property
    def collected(self) -> Path:
        """Data that the compute's endpoints collected; it outlives them."""
        return self.root / ".mlops" / "collected" / self.compute

    @property
    def environments(self) -> Path:
        """Virtual environments by the digest of what goes in."""
        return self.root / ".mlops" / "environments"


@contextmanager
def exclusive(path: Path) -> Iterator[int]:
    """Hold a lock among processes and threads; it ends with its holder, however that ends.

    Yields:
        The descriptor; a child process that inherits it holds the lock too.
    """
    import fcntl  # noqa: PLC0415 - absent on Windows, where the module must be importable still

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def try_exclusive(path: Path) -> int | None:
    """Take a lock without waiting: its descriptor, which the caller closes; None where somebody holds it."""
    import fcntl  # noqa: PLC0415 - as above

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that a reader, a crash or a power cut meets the old content or the new, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    flush(path.parent)


def make_once(target: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder that many processes may want at once; it is there whole or not at all.

    Args:
        target: The folder; nothing happens when it is there.
        fill: Writes its content into the folder that it is given.
    """
    if target.is_dir():
        return
    with exclusive(target.with_name(f".{target.name}.lock")):
        if target.is_dir():
            return
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            fill(part)
            for directory, _, files in os.walk(part):
                for name in files:
                    flush(Path(directory) / name)
                flush(Path(directory))
            part.rename(target)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        flush(target.parent)


def remove(folder: Path) -> None:
    """Take a folder away: it is gone at once under its name, and its content soon after."""
    gone = folder.with_name(f".{folder.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    try:
        folder.rename(gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)


def flush(path: Path) -> None:
    """Have a file or a folder reach the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

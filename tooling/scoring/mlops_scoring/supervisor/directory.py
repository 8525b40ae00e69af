"""The folder of one endpoint: what was configured, who runs it, why it failed; every file whole or absent."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from mlops_scoring import documents
from mlops_scoring.configuration import FORMAT, Deployment


class AlreadyRunning(Exception):
    """Another supervisor holds the folder."""


class Directory:
    """Paths and files below one folder.

    Args:
        root: The folder; made when it is not there. Only its owner may look inside: variables may hold secrets.
    """

    def __init__(self, root: Path) -> None:
        """Name the paths; nothing is made yet."""
        self.root = root
        self.configuration = root / "configuration.json"
        self.supervisor = root / "supervisor.json"
        self.failure = root / "failure.json"
        self.logs = root / "logs"
        self.run = root / "run"
        self._lock: int | None = None

    def prepare(self) -> None:
        """Make the folders and take the lock, which the kernel gives back when this process ends.

        Raises:
            AlreadyRunning: Somebody else has it.
        """
        for folder in (self.root, self.logs, self.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)
        self._lock = os.open(self.root / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"another supervisor runs in {self.root}") from None
        for leftover in self.run.iterdir():
            with contextlib.suppress(OSError):
                leftover.unlink()

    def write(self, path: Path, document: Mapping[str, object]) -> None:
        """Replace a file so that a crash at any point leaves the old content or the new one.

        Raises:
            OSError: The disk is full, for example; the old content stays.
        """
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(json.dumps(document, indent=1).encode())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def worker_configuration(self, name: str) -> Path:
        """The file that the workers of a deployment are started with."""
        return self.run / f"{name}.json"

    def write_worker_configuration(self, endpoint: str, deployment: Deployment) -> None:
        """Write what the workers of a deployment are started with; restarts then need no disk.

        Raises:
            OSError: It cannot be written.
        """
        document = {
            "format": FORMAT,
            "endpoint": endpoint,
            "live_name": deployment.name,
            "deployment": deployment.document,
        }
        self.write(self.worker_configuration(deployment.name), document)

    def write_failure(self, reason: str, code: int) -> None:
        """Say in one line why the supervisor does not run; nothing can be done where even that fails."""
        with contextlib.suppress(OSError):
            self.write(self.failure, {"format": FORMAT, "reason": reason, "code": code, "time": time.time()})

    def write_supervisor(self, admin: str) -> None:
        """Say who runs the endpoint."""
        ticks = start_ticks(os.getpid())
        about = {"format": FORMAT, "pid": os.getpid(), "start_ticks": ticks, "admin": admin, "started": time.time()}
        self.write(self.supervisor, about)
        self.failure.unlink(missing_ok=True)

    def remove_supervisor(self, admin: str) -> None:
        """Say that nobody runs the endpoint any more."""
        Path(admin).unlink(missing_ok=True)
        self.supervisor.unlink(missing_ok=True)


def start_ticks(pid: int) -> int | None:
    """When a process began, in clock ticks since boot, so that a pid that was given again is not taken for it.

    Returns:
        None where the system has no `/proc`, or no such process.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def read_configuration(path: Path) -> bytes:
    """The configuration's bytes.

    Raises:
        InvalidDocument: There is none.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise documents.InvalidDocument([f"{path.name} cannot be read: {error.strerror}"]) from None

"""Processes that are watched, held up and killed."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

DEADLINE = 100.0


def until(condition: Callable[[], T | None], what: str) -> T:
    """Poll until a condition gives something; for what sends no event."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come about within {DEADLINE:.0f} s")


def kill(pid: int) -> None:
    """SIGKILL, and wait until the process has ended."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: _has_ended(Path("/proc", str(pid))), f"the end of {pid}")


def _has_ended(process: Path) -> bool:
    """Whether a process is gone, or nobody has waited for it yet (state Z of proc(5))."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except OSError:
        return True


def _command(process: Path) -> list[bytes]:
    """A process's arguments; none where it is gone or has ended."""
    try:
        return (process / "cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []


def processes(root: Path, module: bytes) -> list[int]:
    """Processes that run a Python module on something below a folder."""
    inside = os.fsencode(root) + b"/"
    found = {int(p.name): _command(p) for p in Path("/proc").glob("[0-9]*")}
    return [pid for pid, command in found.items() if module in command and any(inside in part for part in command)]


class Gate:
    """A named pipe at which somebody who opens it for reading waits until the test lets them through."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait until somebody has come; they wait while the block runs, and nobody waits here afterwards."""
        writer = until(self._open, "somebody at the gate")
        self.path.unlink()
        try:
            yield
        finally:
            os.close(writer)

    def _open(self) -> int | None:
        try:
            return os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return None

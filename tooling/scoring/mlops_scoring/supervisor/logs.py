"""Log files with a bound, written by a thread: a slow or full disk costs log lines, never a request."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from pathlib import Path
from typing import IO

from mlops_scoring.telemetry.logs import formatter, visible
from mlops_scoring.telemetry.reading import readable

MAX_BYTES = 5 * 1024 * 1024
"""Size at which a log file is put aside."""

KEPT = 3
"""Log files of one name, the current one included."""

_MAX_PENDING = 4096
_MAX_NAMES = 40
_MAX_OPEN = 64 * 1024


class LogFiles:
    """Appends to `<directory>/<name>.log` and rotates by size.

    Args:
        directory: Where the files lie.
        max_bytes: Size at which a file becomes `<name>.log.1`.

    Attributes:
        lost: Writes that could not be made: disk full, or the disk too slow.
    """

    def __init__(self, directory: Path, max_bytes: int = MAX_BYTES) -> None:
        """Start the writing thread."""
        self.lost = 0
        self._directory = directory
        self._max_bytes = max_bytes
        self._pending: queue.Queue[tuple[str, bytes | None] | None] = queue.Queue(_MAX_PENDING)
        self._files: dict[str, IO[bytes]] = {}
        self._thread = threading.Thread(target=self._work, name="logs", daemon=True)
        self._thread.start()

    def write(self, name: str, data: bytes) -> None:
        """Append, soon. Never blocks and never fails."""
        try:
            self._pending.put_nowait((name, data))
        except queue.Full:
            self.lost += 1

    def release(self, name: str) -> None:
        """Nobody writes this log any more: close its file once all is written."""
        with contextlib.suppress(queue.Full):
            self._pending.put_nowait((name, None))

    def close(self, seconds: float = 2) -> None:
        """Write what is pending and end."""
        try:
            self._pending.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _work(self) -> None:
        while (item := self._pending.get()) is not None:
            name, data = item
            try:
                if data is None:
                    self._forget(name)
                else:
                    self._append(name, data)
            except OSError:
                self.lost += 1
                self._forget(name)
        for name in list(self._files):
            self._forget(name)

    def _append(self, name: str, data: bytes) -> None:
        file = self._files.get(name)
        if file is None:
            self._prune()
            file = self._files[name] = self._path(name).open("ab", buffering=0)
        if file.tell() and file.tell() + len(data) > self._max_bytes:
            self._forget(name)
            for number in range(KEPT - 1, 0, -1):
                older = self._path(name, number - 1)
                if older.exists():
                    older.replace(self._path(name, number))
            file = self._files[name] = self._path(name).open("ab", buffering=0)
        file.write(data)

    def _path(self, name: str, number: int = 0) -> Path:
        return self._directory / (f"{name}.log.{number}" if number else f"{name}.log")

    def _forget(self, name: str) -> None:
        file = self._files.pop(name, None)
        if file is not None:
            file.close()

    def _prune(self) -> None:
        """Delete the logs of the workers that have been gone longest, so that deployments do not fill the disk."""
        newest_first = sorted(self._directory.glob("*.log"), key=lambda path: -path.stat().st_mtime)
        for path in newest_first[_MAX_NAMES:]:
            if path.stem not in self._files:
                for number in range(KEPT):
                    self._path(path.stem, number).unlink(missing_ok=True)


class LogRecords(logging.Handler):
    """Brings the supervisor's own log records into its log file."""

    def __init__(self, files: LogFiles, endpoint: str) -> None:
        """Write to these files, in the form that the environment asks for."""
        super().__init__()
        self._files = files
        self.setFormatter(formatter({"endpoint": endpoint}, os.environ))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self._files.write("supervisor", self.format(record).encode(errors="replace") + b"\n")


class Tail:
    """The last lines that a deployment's workers wrote, held in memory for its status."""

    def __init__(self, lines: int = 5, width: int = 500) -> None:
        """Keep so many lines, each cut to a width."""
        self._lines = lines
        self._width = width
        self._kept: list[str] = []
        self._open = b""

    def feed(self, data: bytes) -> None:
        """Take output in any pieces."""
        whole, newline, rest = (self._open + data[-_MAX_OPEN:]).rpartition(b"\n")
        self._open = rest[-_MAX_OPEN:]
        if newline:
            written = [line.decode(errors="replace") for line in whole.splitlines()[-self._lines :]]
            lines = [part[: self._width] for line in written for part in readable(line)]
            self._kept = (self._kept + lines)[-self._lines :]

    @property
    def lines(self) -> list[str]:
        """The last lines, oldest first."""
        if not self._open:
            return list(self._kept)
        open_line = self._open[-self._width :].decode(errors="replace")
        return [*self._kept, visible(open_line)][-self._lines :]

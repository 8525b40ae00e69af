"""What a script prints, brought into the log: each line a record of the logger `print`."""

from __future__ import annotations

import io
import logging
import threading
from typing import BinaryIO, TextIO

_MAX_OPEN = 64 * 1024
_MAX_LINE = 16 * 1024
_busy = threading.local()


class PrintedLines(io.TextIOBase):
    """Stands in for `sys.stdout` or `sys.stderr`.

    Args:
        original: The stream that it stands in for; its descriptor and its bytes are still reached through this.
        name: `stdout` or `stderr`.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, original: TextIO, name: str) -> None:
        """Begin with no open line."""
        super().__init__()
        self._original = original
        self._log = logging.getLogger("print")
        self._log.setLevel(logging.INFO)  # what is printed is wanted, whatever the level of records is
        self._extra = {"mlops": {"stream": name}}
        self._open = threading.local()  # print() writes a line and its end apart: threads must not share an open line

    def write(self, text: str) -> int:
        """Log the lines that are complete."""
        if getattr(_busy, "now", False):  # a handler that itself writes to this stream
            self._original.write(text)
            return len(text)
        *lines, rest = (getattr(self._open, "text", "") + text).split("\n")
        if len(rest) > _MAX_OPEN:
            lines.append(rest)
            rest = ""
        self._open.text = rest
        for line in lines:
            self._tell(line.rpartition("\r")[2] if not line.endswith("\r") else line[:-1])
        return len(text)

    def _tell(self, line: str) -> None:
        if not line.strip():
            return
        _busy.now = True
        try:
            for start in range(0, len(line), _MAX_LINE):
                self._log.info("%s", line[start : start + _MAX_LINE], extra=self._extra)
        finally:
            _busy.now = False

    def flush(self) -> None:
        """Complete lines are written at once; an open one waits for its end."""

    def reconfigure(self, **settings: object) -> None:
        """Scripts ask for UTF-8 or for line buffering, which is how it is."""

    def writable(self) -> bool:
        """Always."""
        return True

    def isatty(self) -> bool:
        """Never."""
        return False

    def fileno(self) -> int:
        """The descriptor, for child processes and `faulthandler`."""
        return self._original.fileno()

    @property
    def buffer(self) -> BinaryIO:
        """For programs that print bytes; those are not brought into the log."""
        return self._original.buffer

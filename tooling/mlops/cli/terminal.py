"""The two streams that a user has: what goes where, in which format, and whether in colour."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import IO

from mlops.errors import Diagnostic, Exit, MlopsError
from mlops.reports.diagnostics import render_diagnostics, render_diagnostics_json
from mlops.reports.palette import Palette


class Format(StrEnum):
    """How a result is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


@dataclass(slots=True)
class Terminal:
    """Where a command writes to.

    Attributes:
        out: Takes the result.
        err: Takes all else.
        colour: False where the user wants none; a terminal and NO_COLOR (no-color.org) decide otherwise.
        quiet: Say nothing but the result, warnings and errors.
        format: Of the result; errors follow it as far as JSON.
    """

    out: IO[str]
    err: IO[str]
    colour: bool = True
    quiet: bool = False
    format: Format = Format.TEXT

    @property
    def palette(self) -> Palette:
        """Colours of the result."""
        return Palette(self.coloured(self.out))

    @property
    def interactive(self) -> bool:
        """Whether there is somebody to ask."""
        return sys.stdin is not None and sys.stdin.isatty() and self.err.isatty()

    def coloured(self, stream: IO[str]) -> bool:
        """Whether a stream takes colour."""
        wanted = self.colour and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return wanted and stream.isatty()

    def result(self, text: str) -> None:
        """Write the result.

        Raises:
            MlopsError: It cannot be written, as on a full disk.
        """
        try:
            _write(self.out, text)
        except OSError as error:
            detail = f"Standard output: {error.strerror or error}."
            raise MlopsError(Diagnostic("Cannot write the result", detail, todo="Send it elsewhere.")) from error

    def say(self, text: str) -> None:
        """Tell what happens, on one line or several."""
        if self.quiet:
            return
        if self.format is Format.JSON:
            text = json.dumps({"level": "info", "text": text.rstrip("\n")})
        self._tell(text if text.endswith("\n") else f"{text}\n")

    def talk(self, line: str) -> None:
        """Write one line to stderr as it is."""
        self._tell(f"{line}\n")

    def warn(self, *problems: Diagnostic) -> None:
        """Warn; the command goes on."""
        self._problems(problems, "warning", None)

    def error(self, problems: Sequence[Diagnostic], code: Exit) -> None:
        """Tell why the command fails."""
        self._problems(problems, "error", code)

    def _problems(self, problems: Sequence[Diagnostic], level: str, code: Exit | None) -> None:
        if not problems:
            return
        if self.format is Format.JSON:
            self._tell(render_diagnostics_json(problems, level=level, code=code))
        else:
            palette = Palette(self.coloured(self.err))
            self._tell(render_diagnostics(problems, level=level, palette=palette))

    def _tell(self, text: str) -> None:
        """Write to stderr; that nobody can hear it stops no run."""
        with contextlib.suppress(OSError):
            _write(self.err, text)


def _write(stream: IO[str], text: str) -> None:
    """Write and flush; a reader that went away, as `head` does, ends the output and not the command.

    Raises:
        OSError: Something else stands in the way; nothing more is tried on this stream.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            raise


def _stream(stream: IO[str] | None) -> IO[str]:
    """A standard stream, also where whoever started the process closed it."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - as long as the process
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return stream


def open_terminal() -> Terminal:
    """The process's own streams; what their encoding cannot say is escaped instead of failing."""
    return Terminal(_stream(sys.stdout), _stream(sys.stderr))

"""What happens while it happens: a live line per change on a terminal, one line an event elsewhere."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlops.apply.result import Progress
from mlops.cli.terminal import Format, Terminal
from mlops.reports.escape import plain
from mlops.reports.values import duration_text

if TYPE_CHECKING:
    from rich.table import Table

Tell = Callable[[Progress], None]
_ENDED = frozenset({"done", "failed", "returned", "skipped", "waiting", "blocked", "paused", "cancelled"})


def _text(event: Progress) -> str:
    first = event.text.strip().partition("\n")[0]
    said = f": {plain(first)}" if first and event.text != event.phase else ""
    return f"{plain(str(event.address))} {plain(event.phase)}{said}"


def _lines(terminal: Terminal) -> Tell:
    """One line an event, with the time since the beginning."""
    began = time.monotonic()
    lock = threading.Lock()

    def tell(event: Progress) -> None:
        elapsed = time.monotonic() - began
        with lock:
            if terminal.format is Format.JSON:
                value = {"level": "progress", "elapsed": round(elapsed, 3), "address": str(event.address)}
                terminal.talk(json.dumps(value | {"phase": event.phase, "text": event.text}))
            else:
                terminal.talk(f"{elapsed:7.1f}s  {_text(event)}")

    return tell


class _Board:
    """The changes under way, redrawn by rich; what has ended is written above them once."""

    def __init__(self, above: Callable[[str], None]) -> None:
        self._above = above
        self._began = time.monotonic()
        self._open: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def __rich__(self) -> Table:
        """What is drawn now."""
        from rich.spinner import Spinner  # noqa: PLC0415 - only a terminal needs rich
        from rich.table import Table  # noqa: PLC0415

        table = Table.grid(padding=(0, 1))
        now = time.monotonic()
        with self._lock:
            for began, text in self._open.values():
                table.add_row(Spinner("dots"), duration_text(round(now - began)), text)
        return table

    def tell(self, event: Progress) -> None:
        """Take in an event."""
        now = time.monotonic()
        key = str(event.address)
        with self._lock:
            began = self._open.get(key, (now, ""))[0]
            if event.phase in _ENDED:
                self._open.pop(key, None)
            else:
                self._open[key] = (began, _text(event))
        if event.phase in _ENDED:
            self._above(f"{now - self._began:7.1f}s  {_text(event)}")


@contextmanager
def _live(terminal: Terminal) -> Iterator[Tell]:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs rich
    from rich.live import Live  # noqa: PLC0415

    console = Console(file=terminal.err, no_color=not terminal.coloured(terminal.err), highlight=False, markup=False)
    board = _Board(lambda line: console.print(line, soft_wrap=True))
    with Live(board, console=console, refresh_per_second=8, transient=True, redirect_stdout=False):
        yield board.tell


@contextmanager
def telling(terminal: Terminal) -> Iterator[Tell]:
    """Tell of progress while a run lasts.

    Args:
        terminal: Where to.
    """
    if terminal.quiet:
        yield lambda _event: None
    elif terminal.err.isatty() and terminal.format is not Format.JSON:
        with _live(terminal) as tell:
            yield tell
    else:
        yield _lines(terminal)

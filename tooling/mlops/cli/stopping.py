"""Ctrl-C: the first one asks the run to stop, the second one ends the process at once."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from mlops.cli.terminal import Terminal
from mlops.errors import Exit

_SHOW_CURSOR = "\x1b[?25h"
"""DECTCEM: a live display hides the cursor, and nobody is left to show it again."""


def _end(terminal: Terminal) -> NoReturn:
    with contextlib.suppress(Exception):
        if terminal.err.isatty():
            terminal.err.write(_SHOW_CURSOR)
        terminal.err.write("\nStopped at once. The next apply sees what was left and goes on from there.\n")
    for stream in (terminal.out, terminal.err):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(int(Exit.INTERRUPTED))


@contextlib.contextmanager
def stoppable(terminal: Terminal, stop: threading.Event) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into an event for as long as a run lasts.

    Args:
        terminal: Where to say so.
        stop: Set when the user asks to stop; the run finishes what it has begun to write and tells the ledger.
    """
    stopping = stop.is_set()

    def asked(number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if number == signal.SIGINT and stopping:
            _end(terminal)
        if not stopping:
            stopping = True
            # A handler interrupts the main thread anywhere, also where it holds the lock within the event: it would
            # wait for itself. Another thread does not; and starting one this way takes no lock of Python's.
            _thread.start_new_thread(stop.set, ())
            with contextlib.suppress(RuntimeError):
                terminal.say("\nStopping: what has begun is finished. Press Ctrl-C again to stop at once.")

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

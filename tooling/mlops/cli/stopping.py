"""Ctrl-C: the first one asks the run to stop, the second one ends the process at once.

Python runs a signal's handler in the main thread, when that next runs anything. One that is about to sleep on a lock
does not notice a signal that arrived a moment before, and sleeps on, for minutes if need be. So the main thread is not
needed here: the interpreter writes each signal's number to a socket at once, in whichever thread it arrives
(https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd), and a thread that does nothing else reads it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from mlops.cli.terminal import Terminal
from mlops.errors import Exit

_SHOW_CURSOR = "\x1b[?25h"
"""DECTCEM: a live display hides the cursor, and nobody is left to show it again."""
_LAST_WORDS = 1.0
"""Seconds for what is said, where nobody reads the terminal or the pipe."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _farewell(terminal: Terminal) -> None:
    with contextlib.suppress(Exception):
        if terminal.err.isatty():
            terminal.err.write(_SHOW_CURSOR)
        terminal.err.write("\nStopped at once. The next apply sees what was left and goes on from there.\n")
    for stream in (terminal.out, terminal.err):
        with contextlib.suppress(Exception):
            stream.flush()


def _end(terminal: Terminal) -> NoReturn:
    _aside(_farewell, terminal).join(_LAST_WORDS)
    os._exit(int(Exit.INTERRUPTED))


def _announce(terminal: Terminal) -> None:
    terminal.say("\nStopping: what has begun is finished. Press Ctrl-C again to stop at once.")


def _aside(what: Callable[[Terminal], None], terminal: Terminal) -> threading.Thread:
    """Write in a thread of its own: whoever writes waits for as long as nobody reads."""
    thread = threading.Thread(target=what, args=(terminal,), name="saying", daemon=True)
    thread.start()
    return thread


def _listen(numbers: socket.socket, terminal: Terminal, stop: threading.Event) -> None:
    """Act on each signal's number until the other end is closed."""
    saying: threading.Thread | None = None
    stopping = stop.is_set()
    while arrived := numbers.recv(1):
        if stopping and arrived[0] == signal.SIGINT:
            _end(terminal)
        if not stopping and arrived[0] in _SIGNALS:
            stopping = True
            stop.set()
            saying = _aside(_announce, terminal)
    if saying is not None:
        saying.join(_LAST_WORDS)


def _heard_elsewhere(_number: int, _frame: FrameType | None) -> None:
    """The listening thread acts; without a handler the interpreter would not tell it."""


@contextlib.contextmanager
def stoppable(terminal: Terminal, stop: threading.Event) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into an event for as long as a run lasts.

    Args:
        terminal: Where to say so.
        stop: Set when the user asks to stop; the run finishes what it has begun to write and tells the ledger.

    Raises:
        ValueError: It is not the main thread.
    """
    with contextlib.ExitStack() as stack:
        hearing, telling = socket.socketpair()
        stack.enter_context(hearing)
        listener = threading.Thread(target=_listen, args=(hearing, terminal, stop), name="signals", daemon=True)
        listener.start()
        stack.callback(listener.join, 2 * _LAST_WORDS)
        stack.enter_context(telling)
        telling.setblocking(False)
        stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(telling.fileno(), warn_on_full_buffer=False))
        for number in _SIGNALS:
            stack.callback(signal.signal, number, signal.signal(number, _heard_elsewhere))
        yield

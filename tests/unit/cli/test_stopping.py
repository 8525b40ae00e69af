"""What one Ctrl-C does, and what a second one does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_PROGRAM = """
import sys, threading
from mlops.cli.stopping import stoppable
from mlops.cli.terminal import open_terminal
stop = threading.Event()
terminal = open_terminal()
with stoppable(terminal, stop):
    terminal.result("ready\\n")
    stop.wait()
    terminal.result("stopping\\n")
    sys.stdin.readline()
terminal.result("after\\n")
sys.stdin.readline()
"""


@contextmanager
def _program(text: str = _PROGRAM) -> Iterator[subprocess.Popen[str]]:
    """A run that stops when it is asked, and takes as long to clean up as its standard input says."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", text], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_asks_and_says_so(number: signal.Signals) -> None:
    with _program() as process:
        process.send_signal(number)
        assert _line(process) == "stopping\n"
        _, said = process.communicate("\n\n")
        assert process.returncode == 0
        assert said == "\nStopping: what has begun is finished. Press Ctrl-C again to stop at once.\n"


_BUSY = """
import os, signal, threading
from mlops.cli.stopping import stoppable
from mlops.cli.terminal import open_terminal
stop = threading.Event()
with stoppable(open_terminal(), stop):
    with stop._cond:
        os.kill(os.getpid(), signal.SIGINT)
    stop.wait()
print("stopped")
"""


def test_a_request_in_the_middle_of_waiting_for_one_does_not_hang() -> None:
    """A handler runs between two instructions of the main thread, also while that holds the lock of the event."""
    done = subprocess.run([sys.executable, "-c", _BUSY], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "stopped\n"


_ASLEEP = """
import signal, threading
from mlops.cli.stopping import stoppable
from mlops.cli.terminal import open_terminal
stop = threading.Event()
terminal = open_terminal()
with stoppable(terminal, stop):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    def report():
        stop.wait()
        terminal.result("stopping\\n")
    threading.Thread(target=report, daemon=True).start()
    terminal.result("ready\\n")
    threading.Event().wait()
"""
"""Its main thread hears no signal, as one that is about to sleep does not: other threads take it."""


_UNREAD = """
import threading
from mlops.cli.stopping import stoppable
from mlops.cli.terminal import open_terminal
stop = threading.Event()
terminal = open_terminal()
with stoppable(terminal, stop):
    terminal.result("ready\\n")
    def report():
        stop.wait()
        terminal.result("stopping\\n")
    threading.Thread(target=report, daemon=True).start()
    while True:
        terminal.say("x" * 100_000)
"""


@pytest.mark.parametrize("program", [_ASLEEP, _UNREAD], ids=["main-thread-asleep", "output-unread"])
def test_neither_a_main_thread_that_sleeps_nor_unread_output_keeps_anybody_from_stopping(program: str) -> None:
    with _program(program) as process:
        process.send_signal(signal.SIGINT)
        assert _line(process) == "stopping\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


def test_the_second_ends_the_process_at_once() -> None:
    with _program() as process:
        process.send_signal(signal.SIGINT)
        assert _line(process) == "stopping\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        assert process.returncode == 130
        assert said.endswith("\nStopped at once. The next apply sees what was left and goes on from there.\n")


def test_a_second_request_of_a_ci_system_waits_for_the_clean_end() -> None:
    with _program() as process:
        process.send_signal(signal.SIGINT)
        assert _line(process) == "stopping\n"
        process.send_signal(signal.SIGTERM)
        process.communicate("\n\n")
        assert process.returncode == 0


def test_afterwards_signals_mean_what_they_meant() -> None:
    with _program() as process:
        process.send_signal(signal.SIGINT)
        assert _line(process) == "stopping\n"
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert _line(process) == "after\n"
        process.send_signal(signal.SIGTERM)
        process.communicate()
        assert process.returncode == -signal.SIGTERM

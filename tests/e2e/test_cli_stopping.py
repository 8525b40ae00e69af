"""Ctrl-C, and being asked on a terminal: real signals to real processes on real terminals."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.laptop import MLOPS, Laptop
from tests.e2e.processes import Gate

from mlops.resource import Event


def _gated(laptop: Laptop, gate: Gate) -> subprocess.Popen[str]:
    laptop.apply()
    laptop.serve("2", environment_variables={"GATE": str(gate.path)})
    return laptop.start("apply", "--stage", "dev", "--yes")


def test_the_first_ctrl_c_stops_cleanly_and_tells_the_ledger(laptop: Laptop, gate: Gate) -> None:
    process = _gated(laptop, gate)
    with gate.held():
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopping: what has begun is finished. Press Ctrl-C again to stop at once." in err
    assert "cancelled update endpoint/hello@here" in out
    assert laptop.greeting() == "Hello"
    assert laptop.records()[-1].event is Event.INTERRUPTED
    assert laptop.state().run is None
    laptop.serve("2")
    laptop.converge()
    assert laptop.greeting() == "Moin"


def test_a_job_that_is_cancelled_stops_as_cleanly(laptop: Laptop, gate: Gate) -> None:
    process = _gated(laptop, gate)
    with gate.held():
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert laptop.records()[-1].event is Event.INTERRUPTED


class Screen:
    """A terminal: what is typed, and what is shown."""

    def __init__(self, leader: int, process: subprocess.Popen[bytes]) -> None:
        self.leader = leader
        self.process = process
        self.shown = ""

    def read(self) -> bool:
        """Read what is shown; whether there may be more."""
        try:
            part = os.read(self.leader, 65536)
        except OSError:  # Linux says so when the last writer closed its end
            return False
        self.shown += part.decode(errors="replace")
        return bool(part)

    def wait_for(self, text: str) -> None:
        """Read until a text is shown."""
        while text not in self.shown:
            assert self.read(), self.shown

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.leader, text.encode())

    def press_until_it_ends(self, key: str) -> int:
        """Press a key, and again while nothing comes of it: readline overhears a signal between prompt and wait."""
        self.type(key)
        while True:
            if not select.select([self.leader], [], [], 2.0)[0]:
                self.type(key)
            elif not self.read():
                return self.end()

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self.read():
            pass
        return self.process.wait(timeout=60)


@contextmanager
def _screen(laptop: Laptop, *arguments: str) -> Iterator[Screen]:
    """A command with a terminal for input, output and errors, which is also its controlling terminal."""
    leader, follower = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm-256color"}
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", str(MLOPS), *arguments],
        cwd=laptop.root,
        env=environment,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    screen = Screen(leader, process)
    try:
        yield screen
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(leader)


def test_on_a_terminal_it_asks_and_yes_applies(laptop: Laptop) -> None:
    with _screen(laptop, "apply") as screen:
        screen.wait_for("Apply this to dev? [y/N]: ")
        assert laptop.left() == []
        assert "\x1b[32mcreate " in screen.shown
        screen.type("y\n")
        assert screen.end() == 0
        assert "5 done." in screen.shown
        assert "\x1b[?25h" in screen.shown
    assert laptop.greeting() == "Hello"


def test_no_is_the_default_and_changes_nothing(laptop: Laptop) -> None:
    with _screen(laptop, "apply") as screen:
        screen.wait_for("[y/N]: ")
        screen.type("\n")
        assert screen.end() == 1
        assert "Nothing was changed." in screen.shown
    assert laptop.left() == []
    assert laptop.records() == []


def test_ctrl_c_at_the_question_changes_nothing(laptop: Laptop) -> None:
    with _screen(laptop, "apply") as screen:
        screen.wait_for("[y/N]: ")
        assert screen.press_until_it_ends("\x03") == 130
        assert "Interrupted" in screen.shown
    assert laptop.records() == []


def test_ctrl_c_on_a_live_display_is_heard(laptop: Laptop, gate: Gate) -> None:
    laptop.apply()
    laptop.serve("2", environment_variables={"GATE": str(gate.path)})
    with _screen(laptop, "apply", "--yes") as screen, gate.held():
        screen.wait_for("endpoint/hello@here step")
        screen.type("\x03")
        assert screen.end() == 130
        assert "Stopping" in screen.shown
        assert "cancelled" in screen.shown
    assert laptop.greeting() == "Hello"

"""Colour: only where it is wanted."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

CODE = (
    "from mlops.cli.terminal import open_terminal\nfrom mlops.reports.palette import Tone\n"
    "t = open_terminal()\nt.result(t.palette.paint(Tone.GOOD, 'good') + '\\n')\n"
)


def _on_a_terminal(code: str, **environment: str) -> str:
    """What a process writes to a real pseudo-terminal."""
    leader, follower = pty.openpty()
    environ = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | environment
    process = subprocess.Popen([sys.executable, "-c", code], stdout=follower, env=environ)
    os.close(follower)
    written = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # Linux says so when the last writer closed its end
            break
        if not part:
            break
        written += part
    os.close(leader)
    assert process.wait(timeout=60) == 0
    return written.decode()


def test_a_terminal_gets_colour() -> None:
    assert _on_a_terminal(CODE, TERM="xterm") == "\x1b[32mgood\x1b[0m\r\n"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}])
def test_no_colour_where_it_is_not_wanted(environment: dict[str, str]) -> None:
    assert _on_a_terminal(CODE, **environment) == "good\r\n"


def test_an_option_turns_colour_off() -> None:
    code = "from mlops.cli.running import run\nimport sys\nsys.exit(run(['--no-color', '--help']))"
    assert "\x1b" not in _on_a_terminal(code, TERM="xterm")


def test_a_pipe_gets_no_colour() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout == "good\n"

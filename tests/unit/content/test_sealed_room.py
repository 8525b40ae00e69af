"""The room that tests run in is sealed, and says so when somebody breaks out."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.scoring.processes import is_running
from tests.scoring.rig import await_truth

_CONFTEST = Path(__file__).parents[2] / "conftest.py"


def _run(tmp_path: Path, test: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest on one test file in a room of its own."""
    (tmp_path / "conftest.py").write_bytes(_CONFTEST.read_bytes())
    (tmp_path / "test_it.py").write_text(test, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environ = os.environ | environment
    return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)


def test_another_machine_cannot_be_reached() -> None:
    with pytest.raises(RuntimeError, match="Only loopback is open"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(RuntimeError, match="Only loopback is open"):
        socket.getaddrinfo("example.com", 80)


def test_loopback_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_git_and_home_are_not_those_of_the_user() -> None:
    email = subprocess.run(["git", "config", "user.email"], capture_output=True, text=True, check=True, cwd="/").stdout
    assert email.strip() == "test@example.com"
    assert Path.home().name.startswith("mlops-home-")


def test_a_skip_fails_the_run_in_ci_and_only_there(tmp_path: Path) -> None:
    test = "import pytest\n@pytest.mark.skip(reason='no such machine')\ndef test_it(): ...\n"
    assert _run(tmp_path, test).returncode == 0
    refused = _run(tmp_path, test, CI="true")
    assert refused.returncode == 1
    assert "skips are forbidden in CI" in refused.stdout
    assert "no such machine" in refused.stdout


def test_a_process_left_behind_fails_the_run_and_is_ended(tmp_path: Path) -> None:
    test = (
        "import subprocess, sys, pathlib\n"
        "def test_it():\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "    pathlib.Path('pid').write_text(str(child.pid))\n"
        "    child.returncode = 0\n"
    )
    refused = _run(tmp_path, test)
    assert refused.returncode == 1
    assert "processes were left behind" in refused.stdout
    pid = int((tmp_path / "pid").read_text(encoding="utf-8"))
    await_truth(lambda: not is_running(pid), "its end")

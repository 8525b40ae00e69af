"""Processes of others, looked at and ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.scoring.rig import await_truth


def is_running(pid: int) -> bool:
    """Whether a process exists and has not merely been left unreaped; with its last thread its connections end."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # before or after the file was opened
        return False
    return fields[0] != "Z" or int(fields[17]) > 1


def kill(pid: int) -> None:
    """Kill a process and wait until it is dead: until then it has connections, and nobody can see that it is lost."""
    os.kill(pid, signal.SIGKILL)
    await_truth(lambda: not is_running(pid), "it is dead")

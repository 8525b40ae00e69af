"""Which process holds a lock, and whether it still lives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_STATE_FIELD = 0
_START_FIELD = 19
"""Fields of /proc/PID/stat after the command's name (proc_pid_stat(5): state is field 3, starttime field 22)."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process of one boot of one machine.

    Attributes:
        host: The machine's name, for people.
        machine: Id of this boot and of the namespace that process ids belong to; empty where the system tells none, and
            then nothing is ever concluded about another process.
        pid: Process id.
        ticks: When the process started, in clock ticks since boot; process ids are used again.
    """

    host: str
    machine: str
    pid: int
    ticks: int

    @property
    def alive(self) -> bool:
        """Whether it runs, for a process of this machine."""
        return _ticks(self.pid) == self.ticks

    def shares_machine(self, other: Process) -> bool:
        """Whether the two can see each other."""
        return bool(self.machine) and self.machine == other.machine


def _ticks(pid: int) -> int:
    """When a process started; -1 where it is gone, or only its exit code is left."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return -1
    fields = text.rpartition(")")[2].split()
    if len(fields) <= _START_FIELD or fields[_STATE_FIELD] in {"Z", "X"}:
        return -1
    return int(fields[_START_FIELD])


def this_process() -> Process:
    """The process that runs this.

    Containers of one host share its boot id, but not its process ids, hence the namespace.
    """
    pid = os.getpid()
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        machine = f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        machine = ""
    return Process(os.uname().nodename, machine, pid, _ticks(pid))

"""What the system says of this process, under the names that Prometheus' own clients give it."""

from __future__ import annotations

import os
import resource
import time
from functools import cache
from pathlib import Path

from mlops_scoring.telemetry.families import Family, counter, gauge

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_START_TIME, _THREADS, _VIRTUAL, _RESIDENT = 19, 17, 20, 21  # fields of /proc/PID/stat after the name; see proc(5)


def process_families() -> list[Family]:
    """CPU, memory, files, threads and start of this process; only what the system tells."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    families = [counter("process_cpu_seconds", "User and system CPU time.", usage.ru_utime + usage.ru_stime, "s")]
    try:
        own = Path("/proc/self")
        fields = (own / "stat").read_bytes().rpartition(b")")[2].split()
        open_files = sum(1 for _ in (own / "fd").iterdir())
    except (OSError, ValueError, IndexError):
        return families
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    families += [
        gauge("process_virtual_memory_bytes", "Virtual memory size.", int(fields[_VIRTUAL]), "By"),
        gauge("process_resident_memory_bytes", "Resident memory size.", int(fields[_RESIDENT]) * _PAGE, "By"),
        gauge("process_start_time_seconds", "Start time of the process since the epoch.", process_start(), "s"),
        gauge("process_open_fds", "Open file descriptors.", open_files, "{file}"),
        gauge("process_max_fds", "Limit of open file descriptors.", limit, "{file}"),
        gauge("process_threads", "Threads.", int(fields[_THREADS]), "{thread}"),
    ]
    return families


@cache
def process_start() -> float:
    """When this process began, in seconds since the epoch; always the same, though the clock may be set meanwhile.

    Where the system does not tell: when it was first asked for.
    """
    try:
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        return _boot_time() + int(fields[_START_TIME]) / _TICKS
    except (OSError, ValueError, IndexError):
        return time.time()


def _boot_time() -> int:
    for line in Path("/proc/stat").read_bytes().splitlines():
        if line.startswith(b"btime "):
            return int(line.split()[1])
    raise ValueError("/proc/stat does not say when the system was booted")

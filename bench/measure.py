"""Time and memory of programs, as the operating system counted them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MLOPS = str(Path(sys.executable).parent / "mlops")
_MIB_OF_KIB = 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a program: wall seconds, and the most resident memory of the process in MiB."""

    seconds: float
    peak: float


class ProgramFailed(RuntimeError):
    """A program that was to be measured did not succeed."""


def _environment() -> dict[str, str]:
    """What programs are run with: as users have it, so that Python keeps the bytecode of what it imports."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def run(command: Sequence[str], cwd: Path) -> Sample:
    """Run a program to its end.

    Raises:
        ProgramFailed: It ended with another code than 0; its output is in the text.
    """
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=cwd, env=_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            output.seek(0)
            text = output.read().decode(errors="replace")[-4000:]
            raise ProgramFailed(f"{' '.join(command)} ended with {child.returncode}:\n{text}")
    return Sample(seconds, usage.ru_maxrss / _MIB_OF_KIB)


def median(command: Sequence[str], cwd: Path, times: int, before: Callable[[int], object] | None = None) -> Sample:
    """The middle time and the largest memory of several runs; `before(n)` is called, unmeasured, before each."""
    samples = []
    for number in range(times):
        if before is not None:
            before(number)
        samples.append(run(command, cwd))
    return Sample(statistics.median(s.seconds for s in samples), max(s.peak for s in samples))


def peer_python(name: str) -> str:
    """The Python of a peer's own environment, made from `bench/peers/NAME.lock` where it is not yet there."""
    lock = f"bench/peers/{name}.lock"
    command = [sys.executable, "tooling/locked_environment.py", lock]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

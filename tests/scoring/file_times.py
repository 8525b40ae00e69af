"""The clock that gives files their times, which on some kernels goes by milliseconds."""

from __future__ import annotations

from pathlib import Path

from tests.scoring.rig import await_truth


def await_tick(path: Path, probe: Path) -> None:
    """Wait until a change has another time than the last one of a file.

    Args:
        path: That file.
        probe: A file in the same file system, which is written to see the time.
    """
    last = path.lstat().st_ctime_ns

    def ticked() -> bool:
        probe.write_bytes(b"")
        return probe.lstat().st_ctime_ns > last

    await_truth(ticked, "the clock of files goes on")

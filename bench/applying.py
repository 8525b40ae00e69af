"""Applying many independent changes to a target that takes its time."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench import repositories
from bench.table import Row, at_most
from mlops.drivers import memory
from mlops.pipeline.applying import ApplyRequest, Conduct, apply
from mlops.pipeline.workspace import open_workspace
from mlops.plan import Plan
from mlops.resource import SHARED

CHANGES = 100
LATENCY = 0.05
PARALLEL = 10
IDEAL = CHANGES * LATENCY / PARALLEL
_TIMES = 3


def _apply(root: Path, stage: str) -> float:
    """Seconds from the user's yes to the end: lock, look again, do, record."""
    agreed: list[float] = []

    def confirm(_plan: Plan) -> bool:
        agreed.append(time.perf_counter())
        return True

    conduct = Conduct(confirm, lambda _event: None, threading.Event())
    applied = apply(open_workspace(root), stage, ApplyRequest(parallel=PARALLEL), conduct)
    if applied.exit_code != 0:
        raise RuntimeError(f"apply ended with {applied.exit_code!r}: {applied.results[:3]}")
    return time.perf_counter() - agreed[0]


def _once(root: Path) -> float:
    """The seconds of an apply that creates a hundred endpoints, on a target and in a repository of its own."""
    compute = f"{{type: memory, target: {root.name}}}"
    files = repositories.project(compute) | repositories.models(1)
    for number in range(CHANGES):
        files |= repositories.endpoint(f"endpoint-{number}")
    repositories.write(root, files)
    repositories.commit(root)
    _apply(root, SHARED)
    memory.target(root.name).latency = LATENCY
    return _apply(root, "dev")


def rows(folder: Path) -> Iterator[Row]:
    """A hundred changes of 50 ms, ten at a time."""
    seconds = statistics.median(_once(folder / f"apply-{number}") for number in range(_TIMES))
    bar = f"at most 1.3 times the ideal {IDEAL:.1f} s"
    yield at_most("apply of 100 changes of 50 ms, ten at a time", seconds, 1.3 * IDEAL, "s", bar=bar)

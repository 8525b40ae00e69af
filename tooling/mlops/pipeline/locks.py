"""`mlops locks`: who holds the lock of a stage, and how to take it away."""

from __future__ import annotations

from collections.abc import Iterable

from mlops.errors import Diagnostic, NotFound
from mlops.ledger.record import Origin
from mlops.pipeline.history import entry_of, ledger_of
from mlops.pipeline.workspace import Workspace
from mlops.reports.history import Entry
from mlops.reports.locks import Held
from mlops.resource import SHARED


def locks(workspace: Workspace, stages: Iterable[str] = ()) -> tuple[Held, ...]:
    """The locks that are held.

    Args:
        workspace: The opened repository.
        stages: Only these; empty: all that are declared, and `shared`.

    Raises:
        MlopsError: A ledger cannot be read.
    """
    found: list[Held] = []
    for stage in tuple(stages) or (SHARED, *workspace.stages):
        lock = ledger_of(workspace, stage).lock()
        if lock is not None:
            run = lock.run
            held = Held(
                stage,
                run.id,
                str(run.actor),
                run.process.host,
                run.process.pid,
                run.started,
                lock.age,
                lock.renewed,
                lock.expires,
                lock.standing.value,
                tuple(str(address) for address in sorted(run.intended)),
            )
            found.append(held)
    return tuple(found)


def break_lock(workspace: Workspace, stage: str, reason: str = "") -> Entry:
    """Close the open run of a stage, so that somebody else may apply. The run that held it stops at its next write.

    Args:
        workspace: The opened repository.
        stage: The stage, or `shared`.
        reason: Why, for the ledger.

    Raises:
        NotFound: The stage is not locked.
        MlopsError: The ledger cannot be written.
    """
    job = workspace.git.job()
    request = job.pull_request if job is not None else None
    origin = Origin(workspace.git.actor(), reason or "the lock was broken", workspace.git.revision(), request)
    record = ledger_of(workspace, stage).break_lock(origin)
    if record is None:
        raise NotFound(Diagnostic("Not locked", f"Nobody holds the lock of stage {stage}."))
    return entry_of(record, lambda _goal: None)

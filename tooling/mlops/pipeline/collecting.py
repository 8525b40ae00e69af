"""`mlops collect`: what endpoints on this machine have collected of their requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlops.driver import Collecting
from mlops.errors import Diagnostic, MlopsError, NotFound
from mlops.pipeline.reaching import not_reachable
from mlops.pipeline.workspace import Workspace
from mlops.resource import JSON, Address


@dataclass(frozen=True, slots=True)
class Compaction:
    """What was rolled into tables.

    Attributes:
        folder: Where it lies.
        files: Files that were rolled up.
        rows: Rows of their tables.
        torn: Lines that a killed process had not finished, and that were skipped.
        left: Files that were left alone, because a process writes to them or they are too young.
    """

    folder: Path
    files: int
    rows: int
    torn: int
    left: int

    def to_json(self) -> dict[str, JSON]:
        """The counts as a JSON object."""
        counts: dict[str, JSON] = {"files": self.files, "rows": self.rows, "torn": self.torn, "left": self.left}
        return {"folder": str(self.folder), **counts}


def compact(workspace: Workspace, stage: str, address: Address, before: float | None = None) -> Compaction:
    """Roll what an endpoint has collected into Parquet; what is still written to is left alone.

    Args:
        workspace: The opened repository.
        stage: The stage.
        address: Which endpoint; it need not be live any more.
        before: Epoch seconds; only files that were last written to before then.

    Raises:
        Blocked: Its data is not on this machine.
        NotFound: It has collected nothing.
        MlopsError: pyarrow is missing, or the disk refuses.
    """
    driver = workspace.compute(stage, str(address.compute))
    if not isinstance(driver, Collecting):
        raise not_reachable(address)
    folder = driver.collected(address)
    if not folder.is_dir():
        todo = "Declare data_collector for one of its deployments, apply, and send it requests."
        raise NotFound(Diagnostic("Nothing was collected", f"{address} has no data in {folder}.", todo=todo))
    from mlops_scoring.collection.compact import NoPyArrow  # noqa: PLC0415 - few commands need it
    from mlops_scoring.collection.compact import compact as roll  # noqa: PLC0415

    try:
        done = roll(folder, datetime.fromtimestamp(before, UTC) if before is not None else None)
    except NoPyArrow as error:
        detail = "Tables are written with pyarrow, which is not installed here."
        command = "pip install 'mlops-gitops[collection]'"
        raise MlopsError(Diagnostic("pyarrow is missing", detail, todo="Install it:", command=command)) from error
    except OSError as error:
        detail = f"{error.filename or folder}: {error.strerror or error}."
        todo = "Make room or mend the permissions, and run it again: no row is lost or there twice."
        raise MlopsError(Diagnostic("Cannot write", detail, todo=todo)) from error
    return Compaction(folder, done.files, done.rows, done.torn, done.open)

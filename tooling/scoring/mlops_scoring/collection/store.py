"""The store as one process writes to it: a hot file for each designation, rolled with the period."""

from __future__ import annotations

import contextlib
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

from mlops_scoring.collection.figures import Figures
from mlops_scoring.collection.files import HotFile
from mlops_scoring.collection.layout import Place, period_of, safe_part
from mlops_scoring.collection.settings import RollingRate

SYNC_SECONDS = 10.0
"""What was written is put onto the disk for sure at least this often, when a file is closed, and at the end."""


class Store:
    """Writes lines into files; used by one thread.

    Args:
        directory: The store's folder.
        place: Whose data it is.
        rate: How often a new file is begun.
        figures: Where events are counted.

    Attributes:
        refusal: Why the last lines were not all written; None where they were.
    """

    def __init__(self, directory: Path, place: Place, rate: RollingRate, figures: Figures) -> None:
        """Touch nothing yet."""
        self._root = place.folder(directory)
        self._rate = rate
        self._figures = figures
        self._token = secrets.token_hex(6)
        self._made = 0
        self._files: dict[str, HotFile] = {}
        self._synced = time.monotonic()
        self.refusal: OSError | None = None

    def append(self, designation: str, lines: list[bytes]) -> None:
        """Write lines, in the file of the period that it now is; what the disk refuses is counted and gone."""
        count = written = 0
        try:
            file = self._file(designation)
            count, written = file.append(lines)
            self.refusal = file.refusal
        except OSError as error:
            self.refusal = error
            self._drop(designation)
        if written:
            self._figures.collected(designation, count, written)
        if count < len(lines):
            self._figures.dropped("disk", len(lines) - count)

    def _file(self, designation: str) -> HotFile:
        now = datetime.now(UTC)
        file = self._files.get(designation)
        if file is not None and not (file.period.begin <= now < file.period.end and file.in_place()):
            self._drop(designation)
            file = None
        if file is None:
            period = period_of(now, self._rate)
            self._made += 1
            folder = self._root / safe_part(designation) / period.day
            file = HotFile(folder, f"{period.stamp}-{self._token}-{self._made}", period)
            self._files[designation] = file
        return file

    def _drop(self, designation: str) -> None:
        file = self._files.pop(designation, None)
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

    def tend(self) -> None:
        """Close files whose period is over, and sync the others when it is time."""
        now = datetime.now(UTC)
        for designation, file in list(self._files.items()):
            if not file.period.begin <= now < file.period.end:
                self._drop(designation)
        if time.monotonic() - self._synced >= SYNC_SECONDS:
            self._synced = time.monotonic()
            for file in self._files.values():
                try:
                    file.sync()
                except OSError as error:
                    self.refusal = error

    @property
    def idle_seconds(self) -> float | None:
        """How long `tend` need not be called when nothing is written; None: as long as nothing is."""
        now = datetime.now(UTC)
        ends = [(file.period.end - now).total_seconds() for file in self._files.values()]
        if any(file.dirty for file in self._files.values()):
            ends.append(SYNC_SECONDS)
        return max(min(ends), 0.0) + 0.01 if ends else None

    def close(self) -> None:
        """Close all files."""
        for designation in list(self._files):
            self._drop(designation)

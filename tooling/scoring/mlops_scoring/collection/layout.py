"""Where events lie: `{service}/{model}/{version}/{designation}/{yyyy}/{mm}/{dd}/` below the store's folder, in UTC.

The levels are those of Azure ML's inference data (`ModelDataCollector` of the v1 SDK: service, model, version,
designation, date).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from mlops_scoring.collection.settings import RollingRate

LABELS = "labels"
"""Designation of what was true in the end, told later."""

EVENTS = ".jsonl"
"""End of the names of files with one event a line."""

TABLE = ".parquet"
"""End of the names of files that events were rolled into."""

_UNNAMED = "unnamed"
_LONGEST = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_STAMPS = {"Year": "%Y", "Month": "%Y%m", "Day": "%Y%m%d", "Hour": "%Y%m%dT%H", "Minute": "%Y%m%dT%H%M"}


@dataclass(frozen=True, slots=True)
class Place:
    """Whose data it is.

    Attributes:
        service: Name of the endpoint.
        model: Name of the model.
        version: Its version.
    """

    service: str
    model: str
    version: str

    def folder(self, directory: Path) -> Path:
        """The folder below which all of it lies."""
        return directory / safe_part(self.service) / safe_part(self.model) / safe_part(self.version)


@dataclass(frozen=True, slots=True)
class Period:
    """The time that one file is for.

    Attributes:
        begin: Its first moment, in UTC.
        end: The first moment after it.
        stamp: How the names of its files begin, for example `20260131T05`.
    """

    begin: datetime
    end: datetime
    stamp: str

    @property
    def day(self) -> Path:
        """The folders of the day on which it begins: `yyyy/mm/dd`."""
        return Path(self.begin.strftime("%Y"), self.begin.strftime("%m"), self.begin.strftime("%d"))


def safe_part(name: str) -> str:
    """A name as one part of a path that stays where it is put: whatever could lead elsewhere is percent-encoded.

    Different names give different parts; long ones end in a digest.
    """
    text = _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in _bytes(found.group())), name)
    if text.startswith("."):
        text = "%2E" + text[1:]
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 17]}~{hashlib.sha256(_bytes(name)).hexdigest()[:16]}"
    return text or _UNNAMED


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def period_of(moment: datetime, rate: RollingRate) -> Period:
    """The period in which a moment, in UTC, lies."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match rate:
        case "Year":
            begin = day.replace(month=1, day=1)
            end = begin.replace(year=begin.year + 1)
        case "Month":
            begin = day.replace(day=1)
            end = (begin + timedelta(days=32)).replace(day=1)
        case "Day":
            begin, end = day, day + timedelta(days=1)
        case "Hour":
            begin = day.replace(hour=moment.hour)
            end = begin + timedelta(hours=1)
        case "Minute":
            begin = day.replace(hour=moment.hour, minute=moment.minute)
            end = begin + timedelta(minutes=1)
    return Period(begin, end, begin.strftime(_STAMPS[rate]))


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for the owner alone.

    Raises:
        OSError: It cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)

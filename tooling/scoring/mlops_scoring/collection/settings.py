"""What a deployment collects: Azure ML's `data_collector`, and which fields of the rows are left out or hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mlops_scoring.documents import Fields

ROLLING_RATES = ("Year", "Month", "Day", "Hour", "Minute")
"""How often a new file is begun."""
RollingRate = Literal["Year", "Month", "Day", "Hour", "Minute"]
"""One of `ROLLING_RATES`."""


INPUTS = "model_inputs"
"""Collection of the rows that a model was asked about."""
OUTPUTS = "model_outputs"
"""Collection of what it answered."""
REQUEST = "request"
"""Collection of whole requests, as they came; the name is Azure ML's and reserved."""
RESPONSE = "response"
"""Collection of whole answers, as they went; reserved too."""

_DESIGNATIONS = {INPUTS: "inputs", OUTPUTS: "outputs"}


def designation_of(collection: str) -> str:
    """Under which name a collection is kept: `inputs`, `outputs`, or its own in small letters."""
    name = collection.lower()
    return _DESIGNATIONS.get(name, name)


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection of a deployment.

    Attributes:
        sampling_rate: Share of the requests that are kept, from 0 to 1.
        deny: Fields of the rows that are never written.
        hash: Fields of the rows of which only a keyed digest is written.
    """

    enabled: bool = True
    sampling_rate: float = 1.0
    deny: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataCollector:
    """What is collected, and where to.

    Attributes:
        directory: Absolute path of the store's folder.
        collections: By name; `model_inputs` and `model_outputs` are filled without code.
        capture_headers: Request headers that are written beside the rows.
    """

    directory: str
    collections: Mapping[str, Collection]
    rolling_rate: RollingRate = "Hour"
    capture_headers: tuple[str, ...] = ()


def parse_data_collector(fields: Fields) -> DataCollector:
    """Read the document's `data_collector`."""
    directory = fields.text("directory")
    if directory and not directory.startswith("/"):
        fields.problem("directory", "must be an absolute path")
    below = fields.below("collections")
    collector = DataCollector(
        directory=directory,
        collections={
            name: _collection(Fields(value, below.path(name), fields.problems)) for name, value in below.values.items()
        },
        rolling_rate=_rolling_rate(fields),
        capture_headers=tuple(name.lower() for name in fields.text_list("capture_headers", ())),
    )
    _check_designations(collector, below)
    fields.finish()
    return collector


def _check_designations(collector: DataCollector, fields: Fields) -> None:
    taken: dict[str, str] = {}
    for name in collector.collections:
        other = taken.setdefault(designation_of(name), name)
        if other != name:
            fields.problem(name, f"is kept under the name {designation_of(name)!r}, as {other!r} is; rename it")


def _collection(fields: Fields) -> Collection:
    rate = fields.number("sampling_rate", 1.0)
    if rate > 1:
        fields.problem("sampling_rate", f"must be from 0 to 1; it is {rate}")
    enabled = fields.get("enabled", True)
    if not isinstance(enabled, bool):
        fields.problem("enabled", "must be true or false")
    collection = Collection(enabled is True, rate, fields.text_list("deny", ()), fields.text_list("hash", ()))
    fields.finish()
    return collection


def _rolling_rate(fields: Fields) -> RollingRate:
    match fields.text("rolling_rate", "Hour", choices=ROLLING_RATES):
        case "Year":
            return "Year"
        case "Month":
            return "Month"
        case "Day":
            return "Day"
        case "Minute":
            return "Minute"
        case _:
            return "Hour"

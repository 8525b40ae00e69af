"""What is kept of a worker's requests, worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_scoring.collection.keys import UnusableKey, store_key
from mlops_scoring.collection.layout import Place
from mlops_scoring.collection.privacy import Filter, Unfiltered
from mlops_scoring.collection.settings import (
    INPUTS,
    OUTPUTS,
    REQUEST,
    RESPONSE,
    Collection,
    DataCollector,
    RollingRate,
    designation_of,
)
from mlops_scoring.configuration import WorkerConfiguration

AUTOMATIC = (INPUTS, OUTPUTS)
"""Collections that are filled without code, where there is no entry script."""

PAYLOADS = (REQUEST, RESPONSE)
"""Collections that are filled without code, always."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One collection.

    Attributes:
        name: As declared.
        designation: Under which it is kept.
        rate: Share of the requests that is kept.
        filter: What is left out and hashed.
    """

    name: str
    designation: str
    rate: float
    filter: Filter


@dataclass(frozen=True, slots=True)
class Plan:
    """All collections of a worker.

    Attributes:
        captured: Those filled by the worker itself.
        sent: Those filled by the script's collectors, by name in small letters.
        headers: Request headers that are written beside what was asked.
        rate: How often a new file is begun.
    """

    directory: Path
    place: Place
    captured: tuple[Kept, ...]
    sent: Mapping[str, Kept]
    headers: tuple[str, ...]
    rate: RollingRate

    def with_columns(self, columns: tuple[str, ...]) -> Plan:
        """The same, with the columns that the model takes known."""
        captured = (
            replace(kept, filter=replace(kept.filter, columns=columns))
            if kept.name.lower() in {INPUTS, REQUEST}
            else kept
            for kept in self.captured
        )
        return replace(self, captured=tuple(captured))


def make_plan(configuration: WorkerConfiguration, collector: DataCollector) -> Plan:
    """Work out what a deployment's `data_collector` means for a worker."""
    deployment = configuration.deployment
    enabled = {name.lower(): _kept(name, value) for name, value in collector.collections.items() if value.enabled}
    by_worker = PAYLOADS if deployment.runtime == "script" else (*AUTOMATIC, *PAYLOADS)
    return Plan(
        directory=Path(collector.directory),
        place=Place(
            configuration.endpoint or deployment.declared_name,
            deployment.model.name or deployment.declared_name,
            deployment.model.version or "0",
        ),
        captured=tuple(enabled[name] for name in by_worker if name in enabled),
        sent={name: value for name, value in enabled.items() if name not in by_worker},
        headers=collector.capture_headers,
        rate=collector.rolling_rate,
    )


def _kept(name: str, collection: Collection) -> Kept:
    """What a collection's settings mean."""
    kept = Filter(collection.deny, collection.hash, asked=name.lower() == REQUEST)
    return Kept(name, designation_of(name), collection.sampling_rate, kept)


class StoreKey:
    """The store's key, read when it is first needed and asked for again while it cannot be had."""

    def __init__(self, directory: Path) -> None:
        """Read nothing yet."""
        self._directory = directory
        self._key: bytes | None = None

    def get(self) -> bytes:
        """The key.

        Raises:
            Unfiltered: There is none, so nothing that needs it may be written.
        """
        if self._key is None:
            try:
                self._key = store_key(self._directory)
            except (OSError, UnusableKey) as error:
                message = f"the store's key cannot be used: {error}"
                raise Unfiltered(message) from None
        return self._key

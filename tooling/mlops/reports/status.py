"""What is live, and how it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mlops.driver import Collected
from mlops.reports.document import document
from mlops.reports.escape import plain
from mlops.reports.palette import PLAIN, Palette, Tone
from mlops.reports.table import Cell, Table
from mlops.reports.values import iso, time_text
from mlops.resource import JSON, Address, Health, HealthState

_TONES: Mapping[HealthState, Tone] = {
    HealthState.HEALTHY: Tone.GOOD,
    HealthState.TRANSITIONING: Tone.NOTE,
    HealthState.UNHEALTHY: Tone.DANGER,
    HealthState.UNSCHEDULABLE: Tone.DANGER,
    HealthState.FAILED: Tone.DANGER,
}


class Status(Protocol):
    """One live object, as this report needs it."""

    @property
    def address(self) -> Address:
        """Which."""

    @property
    def stage(self) -> str:
        """Its stage, or `shared`."""

    @property
    def serves(self) -> tuple[str, ...]:
        """Model and weight of each deployment."""

    @property
    def health(self) -> Health:
        """How it is."""

    @property
    def goal(self) -> str | None:
        """Digest of the spec that it was stamped for."""

    @property
    def since(self) -> float | None:
        """Epoch seconds since when it is applied."""

    @property
    def outputs(self) -> Mapping[str, str]:
        """What it offers."""

    @property
    def note(self) -> str:
        """A rollout under way, or that it is not ours."""

    @property
    def collected(self) -> Mapping[str, Collected | None]:
        """Of each deployment that collects data, how much; None where it does not say."""

    @property
    def settling(self) -> bool:
        """Whether the target is still on its way to what it was told."""


def _state(health: Health) -> Cell:
    ready = f" {health.ready}/{health.wanted}" if health.ready is not None and health.wanted is not None else ""
    return Cell(f"{health.state.value}{ready}", _TONES[health.state])


def _counts(name: str, found: Collected | None) -> str:
    if found is None:
        return f"{name}: not known"
    reasons = f" ({', '.join(f'{reason} {count}' for reason, count in found.dropped.items())})" if found.dropped else ""
    dropped = f"{sum(found.dropped.values())} DROPPED{reasons}" if found.dropped else "0 dropped"
    silent = f", {found.silent} worker{'s' * (found.silent > 1)} silent" if found.silent else ""
    return f"{name}: {found.events} collected, {dropped}, {found.waiting} waiting{silent}"


def _data(item: Status) -> Cell:
    found = item.collected
    lost = any(one is not None and one.dropped for one in found.values())
    text = "; ".join(_counts(name, one) for name, one in found.items())
    return Cell(text, Tone.DANGER if lost else None)


def _row(item: Status) -> tuple[str | Cell, ...]:
    about = "; ".join(filter(None, (item.health.reason, item.note, "settling" if item.settling else "")))
    since = time_text(item.since) if item.since is not None else ""
    where = item.outputs.get("scoring_uri", "")
    return str(item.address), _state(item.health), ", ".join(item.serves), _data(item), since, where, about


def _table(stage: str, items: Sequence[Status]) -> Table:
    headings = ("object", "state", "serves", "data", "since", "at", "about")
    return Table(headings, [_row(item) for item in items], f"Nothing is live in stage {stage}.")


def render_status(stage: str, items: Sequence[Status], palette: Palette = PLAIN) -> str:
    """A table, and below it the last lines of the logs of what is not healthy."""
    text = _table(stage, items).text(palette)
    for item in items:
        if item.health.log:
            lines = "".join(f"  | {plain(line)}\n" for line in item.health.log)
            text += f"\n{palette.paint(Tone.STRONG, plain(str(item.address)))}\n{lines}"
    return text


def render_status_markdown(stage: str, items: Sequence[Status]) -> str:
    """A table."""
    return _table(stage, items).markdown()


def _counts_json(found: Collected | None) -> JSON:
    if found is None:
        return None
    return {
        "collected": found.events,
        "dropped": dict(found.dropped),
        "waiting": found.waiting,
        "silent_workers": found.silent,
    }


def render_status_json(stage: str, items: Sequence[Status]) -> str:
    """Every object with its state."""
    objects: list[JSON] = [
        {
            "address": str(item.address),
            "stage": item.stage,
            "state": item.health.state.value,
            "reason": item.health.reason,
            "ready": item.health.ready,
            "wanted": item.health.wanted,
            "log": list(item.health.log),
            "serves": list(item.serves),
            "goal": item.goal,
            "since": iso(item.since) if item.since is not None else None,
            "outputs": dict(item.outputs),
            "note": item.note,
            "settling": item.settling,
            "collected": {name: _counts_json(found) for name, found in item.collected.items()},
        }
        for item in items
    ]
    return document("status", {"stage": stage, "objects": objects})

"""Who holds the lock of a stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlops.reports.document import document
from mlops.reports.palette import PLAIN, Palette, Tone
from mlops.reports.table import Cell, Table
from mlops.reports.values import duration_text, iso, time_text
from mlops.resource import JSON


@dataclass(frozen=True, slots=True)
class Held:
    """One lock.

    Attributes:
        stage: The stage that is locked.
        run: Id of the run that holds it.
        who: The actor.
        host: The machine.
        pid: The process.
        started: Epoch seconds since when it is held.
        age: Seconds since when it is held.
        renewed: Seconds since its last sign of life.
        expires: Seconds after which it may be taken over, without another sign of life; 0: now.
        standing: What is known about the holder: "held", or why it may be dead.
        intended: Addresses that the run is about to change.
    """

    stage: str
    run: str
    who: str
    host: str
    pid: int
    started: float
    age: float
    renewed: float
    expires: float
    standing: str
    intended: tuple[str, ...] = ()


def _state(lock: Held) -> Cell:
    if lock.expires <= 0:
        return Cell(f"{lock.standing}: the next apply takes it over", Tone.DANGER)
    return Cell(f"{lock.standing}, may be taken over in {duration_text(lock.expires)} unless renewed", Tone.GOOD)


def _table(locks: Sequence[Held]) -> Table:
    rows = [
        (
            k.stage,
            k.who,
            f"{k.host} pid {k.pid}",
            time_text(k.started),
            duration_text(k.age),
            _state(k),
            ", ".join(k.intended),
        )
        for k in locks
    ]
    return Table(("stage", "who", "where", "since", "age", "state", "changes"), rows, "No stage is locked.")


def render_locks(locks: Sequence[Held], palette: Palette = PLAIN) -> str:
    """A table of owners, ages and expiries."""
    return _table(locks).text(palette)


def render_locks_markdown(locks: Sequence[Held]) -> str:
    """A table of owners, ages and expiries."""
    return _table(locks).markdown()


def render_locks_json(locks: Sequence[Held]) -> str:
    """Every lock that is held."""
    held: list[JSON] = [
        {
            "stage": lock.stage,
            "run": lock.run,
            "who": lock.who,
            "host": lock.host,
            "pid": lock.pid,
            "started": iso(lock.started),
            "age": lock.age,
            "renewed": lock.renewed,
            "expires": lock.expires,
            "standing": lock.standing,
            "intended": list(lock.intended),
        }
        for lock in locks
    ]
    return document("locks", {"locks": held})

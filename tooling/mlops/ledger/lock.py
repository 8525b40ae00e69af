"""The lock as others see it: who holds it, and whether they still live.

No wall clock decides. On one machine the process is looked at, and the uptime counts. From elsewhere the lease must
stay the same for its whole term by the observer's own uptime; the recorded time only says whether watching is worth it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mlops.errors import Diagnostic, Locked
from mlops.ledger.clock import Clock, to_text
from mlops.ledger.lease import Lease, Terms
from mlops.ledger.process import Process
from mlops.ledger.state import OpenRun


class Standing(StrEnum):
    """What is known about the holder of a lock."""

    HELD = "held"
    DEAD = "its process is gone"
    EXPIRED = "its lease was not renewed"
    DOUBTFUL = "its lease looks expired"


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock of a stage.

    Attributes:
        stage: The stage.
        run: The run that holds it.
        lease: Its lease; None before the first renewal.
        standing: What is known about the holder.
        age: Seconds since the run started, by the wall clocks.
        renewed: Seconds since the last sign of life, by the wall clocks.
        expires: Seconds after which the lock may be taken over, if there is no other sign of life.
    """

    stage: str
    run: OpenRun
    lease: Lease | None
    standing: Standing
    age: float
    renewed: float
    expires: float


class Sightings:
    """When this machine first saw a lease as it is, kept between commands.

    Args:
        path: A file in Git's folder.
        clock: Says the uptime.
        machine: Id of this boot; a note of another boot means nothing.
    """

    def __init__(self, path: Path, clock: Clock, machine: str) -> None:
        """Read nothing."""
        self._path = path
        self._clock = clock
        self._machine = machine
        self._seen: tuple[str, float] | None = None

    def age(self, token: str) -> float:
        """Seconds for which the lease is known to be as it is."""
        now = self._clock.uptime()
        if self._seen is None:
            self._seen = self._read()
        if self._seen is None or self._seen[0] != token or self._seen[1] > now:
            self._seen = (token, now)
            self._write(token, now)
        return now - self._seen[1]

    def _read(self) -> tuple[str, float] | None:
        try:
            value = json.loads(self._path.read_bytes())
            if self._machine and value["machine"] == self._machine:
                return str(value["token"]), float(value["uptime"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return None

    def _write(self, token: str, uptime: float) -> None:
        """Keep the note; a folder that cannot be written only means that the next command watches anew."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps({"machine": self._machine, "token": token, "uptime": uptime}))
            temporary.replace(self._path)
        except OSError:
            return


@dataclass(frozen=True, slots=True)
class Observer:
    """Somebody who wants to know whether the holder of a lock still lives.

    Attributes:
        clock: This machine's clocks.
        me: This process.
        sightings: What this machine saw before.
        terms: How long a lease lasts.
    """

    clock: Clock
    me: Process
    sightings: Sightings
    terms: Terms

    def judge(self, stage: str, run: OpenRun, lease: Lease | None) -> Lock:
        """What is known about the holder of a lock.

        Args:
            stage: The stage.
            run: The open run.
            lease: The lease as it was last seen, of whatever run.
        """
        mine = lease if lease is not None and lease.run == run.id else None
        now = self.clock.time()
        renewed = now - (mine.renewed if mine is not None else run.started)
        if run.process.shares_machine(self.me):
            standing, expires = self._near(run, mine)
        else:
            standing, expires = self._far(run, mine, renewed)
        return Lock(stage, run, mine, standing, now - run.started, renewed, expires)

    def _near(self, run: OpenRun, lease: Lease | None) -> tuple[Standing, float]:
        """Judge a process of this machine."""
        if not run.process.alive:
            return Standing.DEAD, 0.0
        elapsed = self.clock.uptime() - (lease.uptime if lease is not None else run.uptime)
        expires = max(0.0, self.terms.expiry - elapsed)
        return Standing.HELD if expires > 0 else Standing.EXPIRED, expires

    def _far(self, run: OpenRun, lease: Lease | None, renewed: float) -> tuple[Standing, float]:
        """Judge a process of another machine."""
        watched = self.sightings.age(f"{run.id}:{lease.oid if lease is not None else ''}")
        expires = max(0.0, self.terms.expiry - watched)
        if expires <= 0:
            return Standing.EXPIRED, expires
        return Standing.DOUBTFUL if renewed >= self.terms.expiry else Standing.HELD, expires


def locked(lock: Lock) -> Locked:
    """The error that names the holder."""
    run = lock.run
    return Locked(
        Diagnostic(
            "The stage is locked",
            f'Stage "{lock.stage}" is being changed by {run.actor} on {run.process.host}, process {run.process.pid}, '
            f"since {to_text(run.started)}, {_span(lock.age)} ago; last sign of life {_span(lock.renewed)} ago. "
            f"Without another one the lock may be taken over in {_span(lock.expires)}.",
            todo="Wait for it to end and run the command again; break the lock only when you know that it is dead.",
            command=f"mlops locks break --stage {lock.stage}",
        )
    )


def lost(stage: str, why: str) -> Locked:
    """The error that stops a run whose lock is not surely its own any more."""
    return Locked(
        Diagnostic(
            "The lock was lost",
            f'This run does not hold the lock of stage "{stage}" any more: {why}.',
            todo="Nothing more was written. See who holds it, then plan again: the plan starts from what is live.",
            command=f"mlops locks list --stage {stage}",
        )
    )


def _span(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h"

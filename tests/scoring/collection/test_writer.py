"""The queue and its thread: bounded, never in the way, and empty when it is closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.scoring.collection import stores
from tests.scoring.rig import PATIENCE, await_truth

from mlops_scoring.collection.figures import Figures
from mlops_scoring.collection.layout import Place
from mlops_scoring.collection.store import Store
from mlops_scoring.collection.writer import Bounds, Dropped, Line, Writer


@dataclass(frozen=True)
class Numbered:
    """An entry that makes one event, when it is let."""

    number: int
    size: int = 100
    events: int = 1
    gate: threading.Event | None = None

    def lines(self) -> Iterator[Line | Dropped]:
        if self.gate is not None:
            self.gate.wait(PATIENCE)
        yield Line("inputs", b'{"specversion":"1.0","n":%d}\n' % self.number)


@dataclass(frozen=True)
class Broken:
    """An entry that fails after its first event."""

    error: Exception
    size: int = 100
    events: int = 3

    def lines(self) -> Iterator[Line | Dropped]:
        yield Dropped("unfiltered", "for a reason")
        raise self.error


@dataclass
class Rig:
    """A writer into a folder."""

    folder: Path
    bounds: Bounds = field(default_factory=Bounds)
    figures: Figures = field(default_factory=Figures)

    def __post_init__(self) -> None:
        self.writer = Writer(Store(self.folder, Place("s", "m", "1"), "Year", self.figures), self.figures, self.bounds)

    def numbers(self) -> list[int]:
        return [event["n"] for event in stores.events(self.folder, "inputs")]


def test_what_is_put_is_written_in_its_order_soon(store: Path) -> None:
    rig = Rig(store)
    for number in range(500):
        assert rig.writer.put(Numbered(number))
    await_truth(lambda: rig.figures.snapshot().collected.get("inputs") == 500, "all are written, without a close")
    assert rig.numbers() == list(range(500))
    await_truth(lambda: rig.figures.snapshot().queued == rig.figures.snapshot().queued_bytes == 0, "the queue is empty")
    rig.writer.close(PATIENCE)


def test_closing_writes_what_waits(store: Path) -> None:
    rig = Rig(store)
    for number in range(3000):
        rig.writer.put(Numbered(number))
    rig.writer.close(PATIENCE)
    assert rig.numbers() == list(range(3000))
    assert not rig.writer.put(Numbered(1))
    assert rig.figures.snapshot().dropped["end"] == 1


@pytest.mark.parametrize("bounds", [Bounds(events=10, size=10**9), Bounds(events=10**9, size=1000)])
def test_a_full_queue_drops_and_counts_and_takes_again(store: Path, bounds: Bounds) -> None:
    rig = Rig(store, bounds)
    gate = threading.Event()
    taken = [rig.writer.put(Numbered(number, gate=gate)) for number in range(25)]
    assert taken == [True] * 10 + [False] * 15
    snapshot = rig.figures.snapshot()
    assert (snapshot.queued, snapshot.queued_bytes, snapshot.dropped["queue_full"]) == (10, 1000, 15)
    gate.set()
    await_truth(lambda: rig.figures.snapshot().queued == 0, "there is room again")
    assert rig.writer.put(Numbered(99))
    rig.writer.close(PATIENCE)
    assert rig.numbers() == [*range(10), 99]


def test_an_entry_too_large_for_the_queue_is_dropped(store: Path) -> None:
    rig = Rig(store, Bounds(size=1000))
    assert not rig.writer.put(Numbered(1, size=1001))
    assert rig.writer.put(Numbered(2, size=1000))
    rig.writer.close(PATIENCE)
    assert rig.numbers() == [2]


@pytest.mark.parametrize("error", [ValueError("x"), RecursionError(), MemoryError(), AttributeError("a bug")])
def test_an_entry_that_fails_costs_only_itself(store: Path, error: Exception) -> None:
    rig = Rig(store)
    rig.writer.put(Numbered(1))
    rig.writer.put(Broken(error))
    rig.writer.put(Numbered(2))
    rig.writer.close(PATIENCE)
    assert rig.numbers() == [1, 2]
    dropped = rig.figures.snapshot().dropped
    assert (dropped["unfiltered"], dropped["malformed"]) == (1, 2)


def test_closing_does_not_wait_for_ever(store: Path) -> None:
    rig = Rig(store)
    gate = threading.Event()
    for number in range(5):
        rig.writer.put(Numbered(number, gate=gate))
    rig.writer.close(seconds=0.05)
    assert rig.figures.snapshot().dropped["end"] == 5
    gate.set()


def test_entries_from_many_threads_are_all_written(store: Path) -> None:
    rig = Rig(store)

    def put(start: int) -> None:
        for number in range(start, start + 500):
            rig.writer.put(Numbered(number))

    threads = [threading.Thread(target=put, args=(start * 500,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rig.writer.close(PATIENCE)
    assert sorted(rig.numbers()) == list(range(2000))
    assert rig.figures.snapshot().collected == {"inputs": 2000}

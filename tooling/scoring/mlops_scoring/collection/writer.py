"""A bounded queue and the thread that empties it, so that keeping data never holds a request up.

What is put waits as it came; reading it, filtering it and writing it as JSON is done in the thread, in small turns with
pauses between, because the thread that serves requests needs the interpreter's lock too.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from mlops_scoring.collection.figures import DropReason, Figures
from mlops_scoring.collection.store import Store

FLUSH_SECONDS = 0.25
"""How long an event waits at most for others to be written with it."""

_TURN = 64
_SLICE = 0.0005  # seconds of work, after which the other threads have theirs
_PAUSE = 0.0025
_SHORT_PAUSE = 0.0001  # where more than this waits
_CROWD = 2000
_log = logging.getLogger("mlops_scoring.collection")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of the queue.

    Attributes:
        events: Events that may wait.
        size: Bytes that they may hold.
    """

    events: int = 20_000
    size: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Dropped:
    """An event that could not be made."""

    reason: DropReason
    why: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """An event as it is written, and the designation under which it is kept."""

    designation: str
    text: bytes


class Entry(Protocol):
    """Something to be kept.

    Attributes:
        events: How many events it will make.
        size: Bytes that it holds while it waits.
    """

    @property
    def events(self) -> int:
        """How many events it will make."""

    @property
    def size(self) -> int:
        """Bytes that it holds while it waits."""

    def lines(self) -> Iterator[Line | Dropped]:
        """Make them; called in the writer's thread."""


class Writer:
    """Takes entries from any thread and writes them to a store.

    Args:
        store: Where to; nobody else may use it.
        figures: Where events are counted.
        bounds: Of the queue.
    """

    def __init__(self, store: Store, figures: Figures, bounds: Bounds | None = None) -> None:
        """Start the thread."""
        self._store = store
        self._figures = figures
        self._bounds = bounds or Bounds()
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._ending = threading.Event()
        self._waiting: deque[Entry] = deque()
        self._events = 0
        self._size = 0
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._work, name="collection", daemon=True)
        self._thread.start()

    def put(self, entry: Entry) -> bool:
        """Queue an entry; false, and counted, where there is no room for it."""
        with self._lock:
            events, size = self._events + entry.events, self._size + entry.size
            if events > self._bounds.events or size > self._bounds.size or self._ending.is_set():
                room = False
            else:
                room = True
                self._events, self._size = events, size
                self._waiting.append(entry)
        if not room:
            self._figures.dropped("end" if self._ending.is_set() else "queue_full", entry.events)
            return False
        self._figures.queued(entry.events, entry.size)
        if not self._some.is_set():
            self._some.set()
        return True

    def close(self, seconds: float = 10.0) -> None:
        """Write what waits, for so long at most; what is then left is counted as lost."""
        self._ending.set()
        self._some.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            with self._lock:
                left, self._events = self._events, 0
            self._figures.dropped("end", left)

    def _work(self) -> None:
        while not (self._ending.is_set() and not self._waiting):
            if self._some.wait(self._store.idle_seconds) and not self._ending.is_set():
                self._ending.wait(FLUSH_SECONDS)
            self._some.clear()
            while self._waiting:
                self._turn()
            self._store.tend()
        self._store.close()

    def _turn(self) -> None:
        lines: dict[str, list[bytes]] = {}
        began = time.perf_counter()
        events = size = 0
        for _ in range(min(_TURN, len(self._waiting))):
            entry = self._waiting.popleft()
            self._make(entry, lines)
            events += entry.events
            size += entry.size
            if time.perf_counter() - began > _SLICE and not self._ending.is_set():
                time.sleep(_PAUSE if len(self._waiting) < _CROWD else _SHORT_PAUSE)
                began = time.perf_counter()
        for designation, texts in lines.items():
            self._store.append(designation, texts)
        with self._lock:
            self._events -= events
            self._size -= size
        self._figures.queued(-events, -size)
        if self._store.refusal is not None:
            self._tell(f"cannot be written: {self._store.refusal.strerror}")
        else:
            self._told = {told for told in self._told if not told.startswith("cannot be written")}

    def _make(self, entry: Entry, lines: dict[str, list[bytes]]) -> None:
        made = 0
        try:
            for line in entry.lines():
                made += 1
                match line:
                    case Line(designation, text):
                        lines.setdefault(designation, []).append(text)
                    case Dropped(reason, why):
                        self._figures.dropped(reason)
                        self._tell(f"{reason}: {why}")
        except Exception as error:  # noqa: BLE001 - whatever a request holds is its own loss, not the end of the thread
            self._figures.dropped("malformed", max(entry.events - made, 1))
            self._tell(f"malformed: {type(error).__name__}")

    def _tell(self, what: str) -> None:
        """Log once a cause, so that a disk that is full does not fill the log."""
        if what not in self._told and len(self._told) < 100:
            self._told.add(what)
            _log.warning("Collected data is lost; %s", what)

"""Sending in the background: bounded queues, patience with a collector that is down, and an end in bounded time."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from mlops_scoring.telemetry.families import Family
from mlops_scoring.telemetry.posting import Outcome
from mlops_scoring.telemetry.spans import Span

FLUSH_SECONDS = 3.0
"""How long a process that ends goes on sending; a supervisor kills it after ten."""

_FIRST_WAIT = 1.0
_LAST_WAIT = 60.0
_QUIET_SECONDS = 600.0  # between two log lines about the same trouble

_log = logging.getLogger("mlops_scoring.telemetry")


class SpanSink(Protocol):
    """Where spans go."""

    def send_spans(self, spans: Sequence[Span], timeout: float) -> Outcome:
        """Send some, within so many seconds; must not raise."""

    def close(self) -> None:
        """Nothing more will be sent."""


class MetricSink(Protocol):
    """Where metrics go."""

    def send_metrics(self, families: Sequence[Family], timeout: float) -> Outcome:
        """Send all values, within so many seconds; must not raise."""

    def close(self) -> None:
        """Nothing more will be sent."""


class _Patience:
    """When to try again, and when to say so."""

    def __init__(self, what: str) -> None:
        self.not_before = 0.0
        self._what = what
        self._failures = 0
        self._telling = False
        self._told = -math.inf
        self._bug_told = -math.inf

    def tell_bug(self, error: Exception) -> None:
        """Say that some could not even be written; without the error's text, which may have credentials in it."""
        now = time.monotonic()
        if now - self._bug_told >= _QUIET_SECONDS:
            self._bug_told = now
            _log.error("Some %s cannot be written, and are dropped: %s", self._what, type(error).__name__)

    def note(self, outcome: Outcome) -> None:
        now = time.monotonic()
        if outcome.problem is None:
            if self._telling:
                _log.info("%s are sent again", self._what)
            self._telling = False
            self._failures = 0
            return
        if now - self._told >= _QUIET_SECONDS:
            self._told = now
            self._telling = True
            _log.warning("%s cannot be sent, and are dropped when there are too many: %s", self._what, outcome.problem)
        self._failures += 1
        wait = min(_LAST_WAIT, _FIRST_WAIT * 2 ** min(self._failures - 1, 10))
        self.not_before = now + max(outcome.wait, wait * random.uniform(0.8, 1.2))  # noqa: S311 - spreads, hides nothing


class SpanQueue:
    """Takes spans from any thread and sends them from one of its own.

    Args:
        sink: Where they go.
        delay: Seconds between two batches.
        limit: Spans that wait at most.
        batch: Spans of one batch at most.

    Attributes:
        dropped: Spans that found no room, or that the collector did not want.
        sent: Spans that the collector has.
    """

    def __init__(self, sink: SpanSink, delay: float, limit: int, batch: int) -> None:
        """Start the thread."""
        self.dropped = 0
        self.sent = 0
        self._sink = sink
        self._delay = delay
        self._limit = limit
        self._batch = batch
        self._pending: deque[Span] = deque()
        self._wake = threading.Event()
        self._ending: float | None = None
        self._patience = _Patience("spans")
        self._thread = threading.Thread(target=self._work, name="spans", daemon=True)
        self._thread.start()

    def record(self, span: Span) -> None:
        """Take a span. Never blocks and never fails."""
        pending = len(self._pending)
        if pending >= self._limit or self._ending is not None:
            self.dropped += 1
            return
        self._pending.append(span)
        if (pending + 1) % self._batch == 0:
            self._wake.set()

    def close(self, seconds: float = FLUSH_SECONDS) -> None:
        """Send what waits, for so long at most."""
        self._ending = time.monotonic() + seconds
        self._wake.set()
        self._thread.join(seconds + 0.5)

    def _work(self) -> None:
        while self._ending is None:
            self._wake.wait(max(self._delay, self._patience.not_before - time.monotonic()))
            self._wake.clear()
            if self._patience.not_before <= time.monotonic():
                self._send_all()
        self._send_all()
        self.dropped += len(self._pending)
        self._sink.close()

    def _send_all(self) -> None:
        """Send what waits now; at the end, also what comes meanwhile, which otherwise is for the next batch."""
        waiting = len(self._pending)
        while waiting > 0 or (self._pending and self._ending is not None):
            left = 3600.0 if self._ending is None else self._ending - time.monotonic()
            if left <= 0:
                return
            spans = [self._pending.popleft() for _ in range(min(self._batch, len(self._pending)))]
            waiting -= len(spans)
            try:
                outcome = self._sink.send_spans(spans, left)
            except Exception as error:  # noqa: BLE001 - what a script put into one span must not cost those to come
                self.dropped += len(spans)
                self._patience.tell_bug(error)
                continue
            self._patience.note(outcome)
            if outcome.problem is None:
                self.sent += len(spans)
            elif outcome.again:
                self._pending.extendleft(reversed(spans))
                return
            else:
                self.dropped += len(spans)


class MetricClock:
    """Sends metrics at an interval, and once more at the end.

    Args:
        sink: Where they go.
        read: Reads all values; called in a thread of its own.
        interval: Seconds.
    """

    def __init__(self, sink: MetricSink, read: Callable[[], Sequence[Family]], interval: float) -> None:
        """Start the thread."""
        self._sink = sink
        self._read = read
        self._interval = interval
        self._ended = threading.Event()
        self._ending = 0.0
        self._patience = _Patience("metrics")
        self._thread = threading.Thread(target=self._work, name="metrics", daemon=True)
        self._thread.start()

    def close(self, seconds: float = FLUSH_SECONDS) -> None:
        """Send the last values, for so long at most."""
        self._ending = time.monotonic() + seconds
        self._ended.set()
        self._thread.join(seconds + 0.5)

    def _work(self) -> None:
        while not self._ended.wait(self._interval):
            self._send(3600.0)
        self._send(max(0.1, self._ending - time.monotonic()))
        self._sink.close()

    def _send(self, left: float) -> None:
        try:
            families = self._read()
        except Exception:  # noqa: BLE001 - a script's own instruments may raise anything
            _log.exception("metrics cannot be read")
            return
        try:
            outcome = self._sink.send_metrics(families, left)
        except Exception as error:  # noqa: BLE001 - as of spans
            self._patience.tell_bug(error)
            return
        self._patience.note(outcome)  # what failed is sent next time: values are totals

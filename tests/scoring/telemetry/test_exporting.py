"""Queues of spans: bounded whatever the collector does, and ended in time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

import pytest
from tests.scoring.rig import PATIENCE

from mlops_scoring.telemetry.exporting import MetricClock, SpanQueue
from mlops_scoring.telemetry.families import Family, counter
from mlops_scoring.telemetry.posting import Outcome
from mlops_scoring.telemetry.spans import Span


class Gate:
    """Takes spans when it is open."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()
        self.closed = threading.Event()
        self.outcomes: deque[Outcome] = deque()
        self.taken: list[int] = []

    def send_spans(self, spans: Sequence[Span], timeout: float) -> Outcome:
        outcome = self.outcomes.popleft() if self.outcomes else Outcome()
        self.entered.set()
        if not self.open.wait(timeout):
            return Outcome("too slow", again=True)
        if outcome.problem is None:
            self.taken += [span.span_id for span in spans]
        return outcome

    def close(self) -> None:
        self.closed.set()


def make_span(number: int) -> Span:
    return Span("s", "server", 1, number, 0, 0, 0)


def test_no_more_than_the_limit_waits_and_the_rest_is_counted() -> None:
    gate = Gate()
    queue = SpanQueue(gate, delay=3600, limit=10, batch=4)
    for number in range(4):
        queue.record(make_span(number))
    assert gate.entered.wait(PATIENCE), "a whole batch does not wait for the delay"
    for number in range(4, 50):
        queue.record(make_span(number))
    assert queue.dropped == 50 - 4 - 10
    gate.open.set()
    queue.close(PATIENCE)
    assert gate.taken == list(range(14))
    assert (queue.sent, queue.dropped) == (14, 36)
    assert gate.closed.is_set()


def test_the_end_is_in_time_whatever_the_collector_does() -> None:
    gate = Gate()
    queue = SpanQueue(gate, delay=3600, limit=100, batch=4)
    for number in range(20):
        queue.record(make_span(number))
    queue.close(0.2)
    queue.record(make_span(99))
    assert queue.sent == 0
    assert queue.dropped >= 1


def test_what_the_collector_does_not_want_is_dropped_and_the_next_is_sent() -> None:
    gate = Gate()
    gate.open.set()
    gate.outcomes.append(Outcome("the collector answered 400"))
    queue = SpanQueue(gate, delay=3600, limit=10, batch=2)
    queue.record(make_span(1))
    queue.record(make_span(2))
    assert gate.entered.wait(PATIENCE)
    queue.record(make_span(3))
    queue.close(PATIENCE)
    assert gate.taken == [3]
    assert (queue.sent, queue.dropped) == (1, 2)


class Busy:
    """A process in which another span ends while some are sent."""

    def __init__(self) -> None:
        self.queue = SpanQueue(self, delay=3600, limit=100, batch=4)
        self.sizes: list[int] = []
        self.changed = threading.Condition()

    def send_spans(self, spans: Sequence[Span], timeout: float) -> Outcome:
        del timeout
        self.queue.record(make_span(0))
        with self.changed:
            self.sizes.append(len(spans))
            self.changed.notify_all()
        return Outcome()

    def close(self) -> None:
        pass


def test_what_comes_while_some_are_sent_waits_for_a_whole_batch() -> None:
    busy = Busy()
    for round_, recorded in enumerate((4, 3, 3), 1):
        for number in range(recorded):
            busy.queue.record(make_span(number))
        with busy.changed:
            assert busy.changed.wait_for(lambda: len(busy.sizes) >= round_, PATIENCE)  # noqa: B023 - called here
    busy.queue.close(PATIENCE)
    assert busy.sizes == [4, 4, 4, 1]


class Fragile:
    """Cannot write what has a forbidden number; the rest is taken, once all has come."""

    def __init__(self) -> None:
        self.taken: list[object] = []
        self.changed = threading.Condition()
        self.all_there = threading.Event()

    def send_spans(self, spans: Sequence[Span], timeout: float) -> Outcome:
        self.all_there.wait(timeout)
        return self._take([span.span_id for span in spans])

    def send_metrics(self, families: Sequence[Family], timeout: float) -> Outcome:
        del timeout
        return self._take([point.value for family in families for point in family.points])

    def _take(self, values: Sequence[object]) -> Outcome:
        if 13 in values:
            raise TypeError("s3cr3t")
        with self.changed:
            self.taken += values
            self.changed.notify_all()
        return Outcome()

    def close(self) -> None:
        pass


def test_a_span_that_cannot_be_written_costs_its_batch_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    sink = Fragile()
    queue = SpanQueue(sink, delay=3600, limit=100, batch=2)
    for number in (1, 2, 3, 13, 4, 5, 13, 13, 6):
        queue.record(make_span(number))
    sink.all_there.set()
    queue.close(PATIENCE)
    assert sink.taken == [1, 2, 4, 5, 6]
    assert (queue.sent, queue.dropped) == (5, 4)
    assert [record.message for record in caplog.records] == ["Some spans cannot be written, and are dropped: TypeError"]


def test_metrics_that_cannot_be_written_once_are_sent_the_next_time(caplog: pytest.LogCaptureFixture) -> None:
    sink = Fragile()
    values = iter([13, 13])
    clock = MetricClock(sink, lambda: [counter("c", "C", next(values, 1))], 0.01)
    with sink.changed:
        assert sink.changed.wait_for(lambda: sink.taken, PATIENCE)
    clock.close(PATIENCE)
    assert set(sink.taken) == {1}
    assert len(caplog.records) == 1

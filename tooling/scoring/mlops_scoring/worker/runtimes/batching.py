"""Dynamic batches: requests that wait for the model are given to it together, and its answers divided exactly."""

from __future__ import annotations

import importlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from mlops_scoring.deployments import Batching
from mlops_scoring.worker.prediction import Feed

Run = Callable[[Feed, Sequence[str]], list[Any]]
"""Calls a model; what it gives for each output asked for."""


class _Waiting:
    """One request at the model's door."""

    __slots__ = ("error", "feed", "key", "leads", "outputs", "result", "rows", "turn")

    def __init__(self, feed: Feed, outputs: Sequence[str], rows: int, like: Hashable) -> None:
        self.feed = feed
        self.outputs = outputs
        self.rows = rows
        self.key = (tuple(outputs), like)
        self.leads = False
        self.result: list[Any] | None = None
        self.error: BaseException | None = None
        self.turn = threading.Lock()  # held until there is a result, or this request is to lead
        self.turn.acquire()


class Batcher:
    """Calls a model for several requests at once.

    The first of the waiting requests leads: its thread waits for others, calls the model for all that can be joined,
    and hands over to the first of those that came meanwhile. Others that can be joined among themselves and are a
    full batch sooner go before it. So no thread is needed beside those of the requests, and without other requests
    nothing waits but for `max_delay_ms`.

    Args:
        run: Calls the model.
        settings: How many rows, and how long to wait for them.
    """

    def __init__(self, run: Run, settings: Batching) -> None:
        """Begin with nobody waiting."""
        self._run = run
        self._most = settings.max_batch_size
        self._delay = settings.max_delay_ms / 1000
        self._changed = threading.Condition()
        self._queue: list[_Waiting] = []
        self._rows: Counter[Hashable] = Counter()
        self._busy = False

    def run(self, feed: Feed, outputs: Sequence[str]) -> list[Any]:
        """Call the model, alone or together with others."""
        shape = _shape(feed)
        if shape is None or not 0 < shape[0] < self._most:
            return self._run(feed, outputs)
        mine = _Waiting(feed, outputs, *shape)
        with self._changed:
            self._queue.append(mine)
            self._rows[mine.key] += mine.rows
            if not self._busy:
                self._busy = mine.leads = True
            elif self._rows[mine.key] >= self._most:
                self._changed.notify()
        if not mine.leads:
            mine.turn.acquire()
        if mine.leads:
            self._lead(mine)
        if mine.error is not None:
            raise mine.error
        return mine.result or []

    def _lead(self, mine: _Waiting) -> None:
        """Call the model for full batches of others, until it has been called for the leader's own."""
        deadline = time.monotonic() + self._delay
        batch: list[_Waiting] = []
        while mine not in batch:
            batch = self._gather(deadline)
            self._answer(batch)
            for waiting in batch:
                if waiting is not mine:
                    waiting.turn.release()
        with self._changed:
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].turn.release()
            else:
                self._busy = False

    def _gather(self, deadline: float) -> list[_Waiting]:
        """Wait for a full batch, or for the deadline of the leader, who is the first; and take it."""
        with self._changed:
            full = self._full()
            while (left := deadline - time.monotonic()) > 0 and full is None:
                self._changed.wait(left)
                full = self._full()
            key = full if left > 0 else self._queue[0].key
            batch, rows, rest = [], 0, []
            for waiting in self._queue:
                if waiting.key == key and rows + waiting.rows <= self._most:
                    batch.append(waiting)
                    rows += waiting.rows
                else:
                    rest.append(waiting)
            self._queue = rest
            self._rows[key] -= rows
            if not self._rows[key]:
                del self._rows[key]
        return batch

    def _full(self) -> Hashable | None:
        """What the requests have in common that are a full batch; of several, those that came first."""
        return next((key for key, rows in self._rows.items() if rows >= self._most), None)

    def _answer(self, batch: list[_Waiting]) -> None:
        """Give each its result or its error; raises nothing."""
        if len(batch) > 1:
            try:
                results = self._run(_join([waiting.feed for waiting in batch]), batch[0].outputs)
                if _divide(batch, results):
                    return
            except BaseException:  # noqa: BLE001, S110 - each is then tried alone, and fails alone
                pass
        for waiting in batch:
            try:
                waiting.result = self._run(waiting.feed, waiting.outputs)
            except BaseException as error:  # noqa: BLE001 - handed to its own request
                waiting.error = error


def batched(run: Run, settings: Batching, many: bool = True) -> Run:  # noqa: FBT001, FBT002 - one plain fact
    """The same call in batches, where they are wanted and the model takes any number of rows."""
    return Batcher(run, settings).run if settings.max_batch_size > 1 and many else run


def _shape(feed: Feed) -> tuple[int, Hashable] | None:
    """The number of rows, and what else must be equal for feeds to be joined; None where they cannot be."""
    if isinstance(feed, dict):
        if not all(getattr(value, "ndim", 0) for value in feed.values()):
            return None
        rows = {len(value) for value in feed.values()}
        if len(rows) != 1:
            return None
        return rows.pop(), tuple((name, str(value.dtype), value.shape[1:]) for name, value in sorted(feed.items()))
    if hasattr(feed, "iloc"):
        types = tuple(map(str, feed.dtypes))
        return len(feed), ("frame", tuple(map(str, feed.columns)), types)
    if hasattr(feed, "dtype") and feed.ndim:
        return len(feed), (str(feed.dtype), feed.shape[1:])
    return None


def _join(feeds: list[Feed]) -> Feed:
    first = feeds[0]
    if hasattr(first, "iloc"):
        return importlib.import_module("pandas").concat(feeds, ignore_index=True)
    concatenate = importlib.import_module("numpy").concatenate
    if isinstance(first, dict):
        return {name: concatenate([feed[name] for feed in feeds]) for name in first}
    return concatenate(feeds)


def _divide(batch: list[_Waiting], results: list[Any]) -> bool:
    """Give each request its rows; False where a result has not one row for each of theirs."""
    total = sum(waiting.rows for waiting in batch)
    for result in results:
        if isinstance(result, dict) or not hasattr(result, "__len__") or len(result) != total:
            return False
    start = 0
    for waiting in batch:
        end = start + waiting.rows
        waiting.result = [_rows(result, start, end) for result in results]
        start = end
    return True


def _rows(result: Any, start: int, end: int) -> Any:  # noqa: ANN401 - an array, a list, or pandas'
    if hasattr(result, "iloc"):
        return result.iloc[start:end].reset_index(drop=True)
    return result[start:end]

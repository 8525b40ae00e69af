"""What a worker counts of its requests, and shows."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from mlops_scoring import __version__
from mlops_scoring.telemetry.families import Durations, Family, Point, counter, gauge
from mlops_scoring.telemetry.process import process_families
from mlops_scoring.worker.observing import Scored

_DIALECTS: Mapping[str, str] = {"/score": "azureml", "/invocations": "mlflow"}
_OPEN_INFERENCE = "/v2/"

Extra = Callable[[], Iterable[Family]]
"""Gives further families: the script's own, those of data collection."""


def dialect_of(path: str) -> str:
    """The dialect of a path that scores."""
    return "open_inference" if path.startswith(_OPEN_INFERENCE) else _DIALECTS.get(path, "other")


class WorkerMetrics:
    """An observer that counts.

    Args:
        pending: Requests given and not ended, those inside `run()` included.
        threads: How many may be inside `run()` at once.
        init_seconds: How long loading took.
        runtime: The runtime's name.
        extra: Where further families come from.
    """

    def __init__(
        self, pending: Callable[[], int], threads: int, init_seconds: float, runtime: str, extra: Iterable[Extra]
    ) -> None:
        """Begin at nothing."""
        self._pending = pending
        self._threads = threads
        self._init_seconds = init_seconds
        self._runtime = runtime
        self._extra = tuple(extra)
        self._requests: Counter[tuple[str, int]] = Counter()
        self._run = Durations()
        self._waits = Durations()
        self._failures = 0
        self._received = self._sent = 0

    def scored(self, scored: Scored) -> None:
        """Count one request."""
        answer = scored.answer
        self._requests[dialect_of(scored.request.path), answer.status // 100] += 1
        self._waits.add(scored.waited)
        if scored.waited < scored.seconds:
            self._run.add(answer.milliseconds / 1000 if answer.milliseconds else scored.seconds - scored.waited)
        if answer.run_function_failed:
            self._failures += 1
        self._received += len(scored.request.body)
        self._sent += len(answer.body)

    def close(self) -> None:
        """Nothing is kept."""

    def families(self) -> list[Family]:
        """All values as they are now."""
        pending = self._pending()
        running = min(pending, self._threads)
        families = [
            self._by_dialect(),
            Family("mlops_worker_run_duration_seconds", "histogram", "Time inside run().", _one(self._run), "s"),
            Family(
                "mlops_worker_queue_duration_seconds", "histogram", "Time waiting for run().", _one(self._waits), "s"
            ),
            counter("mlops_worker_run_failures", "Requests whose run() raised.", self._failures, "{request}"),
            counter("mlops_worker_received_bytes", "Bodies of scoring requests.", self._received, "By"),
            counter("mlops_worker_sent_bytes", "Bodies of their answers, streamed ones left out.", self._sent, "By"),
            gauge("mlops_worker_in_flight", "Requests inside run() now.", running, "{request}"),
            gauge("mlops_worker_queue_length", "Requests waiting for run() now.", pending - running, "{request}"),
            gauge("mlops_worker_threads", "Requests that may be inside run() at once.", self._threads, "{thread}"),
            gauge("mlops_worker_init_seconds", "How long loading the model took.", self._init_seconds, "s"),
            _build(self._runtime),
            *process_families(),
        ]
        for extra in self._extra:
            families.extend(extra())
        return families

    def _by_dialect(self) -> Family:
        points = tuple(
            Point((("dialect", dialect), ("status", f"{digit}xx")), count)
            for (dialect, digit), count in sorted(self._requests.items())
        )
        return Family("mlops_worker_requests", "counter", "Scoring requests answered.", points, "{request}")


def _one(durations: Durations) -> tuple[Point, ...]:
    return (Point((), durations.distribution()),)


def _build(runtime: str) -> Family:
    labels = (("python", platform.python_version()), ("runtime", runtime), ("version", __version__))
    return Family("mlops_worker_build_info", "gauge", "What serves; always 1.", (Point(labels, 1),))

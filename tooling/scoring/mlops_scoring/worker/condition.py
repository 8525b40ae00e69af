"""Whether a worker lives and wants requests, for all who ask: the admin side, and the dialects with health routes."""

from __future__ import annotations

from mlops_scoring.worker.run_threads import RunThreads


class Condition:
    """What the probes of one worker are told.

    Attributes:
        ready: Whether requests are wanted; false from the moment the worker is told to stop.
    """

    def __init__(self, threads: RunThreads) -> None:
        """Begin ready: the model is loaded."""
        self.ready = True
        self._threads = threads

    @property
    def live(self) -> bool:
        """Whether any thread can take a request; `run()` beyond its time limit cannot be stopped."""
        return self._threads.overdue < self._threads.count

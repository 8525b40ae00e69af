"""What hears of every request that was scored: data collection and telemetry."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from mlops_scoring.worker.scoring import Answer, ScoringRequest


class Scored(NamedTuple):
    """One request that was answered by a route that scores.

    Attributes:
        answer: What was answered; the body of a streamed answer is not kept.
        started: When the worker had the whole request, in seconds since the epoch.
        seconds: From then until the answer was written.
        waited: Seconds of it in the queue before `run()`.
    """

    request: ScoringRequest
    answer: Answer
    started: float
    seconds: float
    waited: float


class Observer(Protocol):
    """Hears of scored requests after the answer was written; it must neither block nor raise.

    It hears them on the event loop, or in a thread of `run()` that has a client on loan; of one at a time.
    """

    def scored(self, scored: Scored) -> None:
        """One request was answered."""

    def close(self) -> None:
        """The worker ends: write out what is not written yet. Called once, not on the event loop."""

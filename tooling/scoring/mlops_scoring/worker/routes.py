"""What a worker answers: one table of exact paths, to which each dialect adds its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlops_scoring.worker.scoring import Answer, ScoringRequest


@dataclass(frozen=True, slots=True)
class Route:
    """One path.

    Attributes:
        methods: The methods that it takes; HEAD is answered as GET without its body.
        answer: Makes the answer; may raise `Unfit`.
        scores: Whether it calls the model. Then it runs in a thread of its own, waits in the bounded queue and is
            observed; otherwise it is answered on the event loop at once and must be quick.
    """

    methods: tuple[str, ...]
    answer: Callable[[ScoringRequest], Answer]
    scores: bool = False


Routes = Mapping[str, Route]
"""Routes by path. `/first/*` answers paths that begin with `/first` and have no route of their own."""

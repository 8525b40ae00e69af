"""The request that the calling thread is working for, as a script's `run()` may ask for it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_scoring.worker.scoring import ScoringRequest

CURRENT: ContextVar[ScoringRequest | None] = ContextVar("mlops_scoring_request", default=None)
"""Set by the worker around `run()`."""


def current_request() -> ScoringRequest | None:
    """The request in whose `run()` the caller is; None outside of one."""
    return CURRENT.get()

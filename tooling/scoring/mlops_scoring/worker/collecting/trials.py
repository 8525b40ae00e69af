"""Requests by which the toolkit tries a deployment: they are no data of production, and nothing of them is kept.

A gateway marks them, and passes no mark of a client on. Without a gateway nobody marks, so marks are not believed.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from mlops_scoring.wire.messages import TRIAL
from mlops_scoring.worker.scoring import ScoringRequest

ATTRIBUTE = "mlops-trial"
"""What is added to the rows that a script collects of a trial."""


class Marks:
    """How trials are told from requests.

    Args:
        trials: Whether a gateway is in front.

    Attributes:
        secret: Value of the attribute; drawn, because scripts may pass headers of clients on as attributes.
    """

    def __init__(self, *, trials: bool) -> None:
        """Draw the secret."""
        self._trials = trials
        self.secret = secrets.token_hex(16)

    def is_trial(self, request: ScoringRequest | None) -> bool:
        """Whether a request is one."""
        return self._trials and request is not None and TRIAL in request.headers

    def is_of_trial(self, headers: Mapping[str, str]) -> bool:
        """Whether rows with these headers were collected of one."""
        return headers.get(f"ce-{ATTRIBUTE}") == self.secret

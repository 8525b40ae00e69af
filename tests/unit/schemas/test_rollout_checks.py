"""Checks of a rollout that count requests: refused where they would never be made."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.schemas.check import check_document
from mlops.schemas.kinds import DocumentKind

DEPLOYMENTS = {"blue": {"model": "fraud:4", "environment": "onnx:1"}}
ENDPOINT: dict[str, Any] = {"compute": "local-dev", "deployments": DEPLOYMENTS}
CANARY = {"strategy": "canary", "weights": [10]}
AT_ONCE = {"strategy": "all_at_once"}


@pytest.mark.parametrize(
    ("rollout", "checks", "idle"),
    [
        (AT_ONCE, {"max_error_rate": "1%"}, {"max_error_rate"}),
        (
            AT_ONCE,
            {"max_error_rate": "1%", "min_requests": 9, "deadline": "1m"},
            {"max_error_rate", "min_requests", "deadline"},
        ),
        (CANARY, {"min_requests": 9}, {"min_requests"}),
        (CANARY, {"deadline": "1m"}, {"deadline"}),
        (CANARY, {"max_error_rate": "1%", "min_requests": 0, "deadline": "1m"}, {"deadline"}),
        (CANARY, {"max_error_rate": "1%"}, {"max_error_rate"}),
        (CANARY | {"soak": "0s"}, {"max_error_rate": "1%"}, {"max_error_rate"}),
        (CANARY | {"soak": "1m"}, {"max_error_rate": "1%"}, set()),
        (CANARY, {"max_error_rate": "1%", "min_requests": 9, "deadline": "1m"}, set()),
        (AT_ONCE, {"sample_request": False}, set()),
    ],
)
def test_checks_that_would_never_be_made(rollout: dict[str, Any], checks: dict[str, Any], idle: set[str]) -> None:
    found = check_document(DocumentKind.ENDPOINT, {**ENDPOINT, "rollout": {**rollout, "checks": checks}}).problems
    assert {problem.path for problem in found} == {("rollout", "checks", key) for key in idle}
    assert {problem.summary for problem in found} <= {"Key without effect"}

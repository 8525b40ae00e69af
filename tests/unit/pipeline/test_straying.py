"""When what is live is known to come from the step of a rollout that is recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlops.drivers.memory import MemoryDriver
from mlops.ledger.state import Progress
from mlops.pipeline.straying import strayed
from mlops.resource import JSON, Address, Observed, Spec, Stamp

FRAUD = Address.parse("endpoint/fraud@here")
GOAL = "1" * 64
BLUE = {"model": {"name": "fraud", "version": "1"}}
STEP: Spec = {"auth_mode": "key", "deployments": {"old": BLUE, "new": BLUE}, "traffic": {"old": 90, "new": 10}}
PROGRESS = Progress(GOAL, "2" * 64, 1, True, "step", {"old": 90, "new": 10}, {"old": 100, "new": 0}, 0.0)


def found(progress: Progress = PROGRESS, goal: str = GOAL, **fields: JSON) -> list[str]:
    """The paths that are found where these fields are live beside the step's."""
    live = Observed(FRAUD, {**STEP, **fields}, Stamp("shop", "dev", str(FRAUD), goal))
    return [f.path for f in strayed(live, progress, {"step": STEP}.get, MemoryDriver.rules)]


def test_a_step_that_was_found_good_is_what_has_to_be_live() -> None:
    assert found() == []
    assert found(auth_mode="none") == ["auth_mode"]
    assert found(traffic={"old": 50, "new": 50}) == ["traffic.old", "traffic.new"]
    assert found(deployments={"old": BLUE, "new": {**BLUE, "instance_count": 2}}) == []  # which nobody declared


def test_a_step_that_soaks_within_a_run_was_put_where_its_weights_are_live() -> None:
    soaking = replace(PROGRESS, done=False)
    assert found(soaking) == []
    assert found(soaking, auth_mode="none") == ["auth_mode"]


@pytest.mark.parametrize(
    ("progress", "goal"),
    [
        (replace(PROGRESS, done=False, before={"old": 90, "new": 10}), GOAL),
        (replace(PROGRESS, done=False, weights={"old": 50, "new": 50}, before=PROGRESS.weights), GOAL),
        (replace(PROGRESS, spec="lost"), GOAL),
        (PROGRESS, "2" * 64),
    ],
    ids=["the same weights as before", "the weights before", "a spec that is not in the ledger", "another goal"],
)
def test_where_the_step_may_not_be_live_nothing_is_said(progress: Progress, goal: str) -> None:
    assert found(progress, goal, auth_mode="none") == []

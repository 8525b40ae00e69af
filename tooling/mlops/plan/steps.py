"""Which specs lead from what is live to what is wanted, also when a rollout was left half-way."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mlops.plan.baseline import RolloutState
from mlops.plan.wanted import Target, Wanted
from mlops.resource import Kind, Observed, Resource, Spec
from mlops.rollout import Step, find_step, make_steps, to_live


@dataclass(frozen=True)
class PlannedSteps:
    """The steps still to do.

    Attributes:
        steps: At least one.
        start: The live form to return to on a failure; None where there is none.
        start_goal: The goal digest of `start`.
        resumes: Whether a rollout under way goes on.
        reason: Why, where it is more than an edit.
    """

    steps: tuple[Step, ...]
    start: Spec | None = None
    start_goal: str | None = None
    resumes: bool = False
    reason: str = ""


def plan_steps(resource: Resource, live: Observed | None, wanted: Wanted) -> PlannedSteps:
    """Make the steps for one resource.

    Args:
        resource: What is wanted.
        live: What is live; None where it is made anew.
        wanted: What the ledger knows of a rollout under way, the driver's rules and traffic, and the time.
    """
    if resource.address.kind is not Kind.ENDPOINT:
        title = "create" if live is None else "update"
        return PlannedSteps((Step(title, resource.spec),))
    target = wanted.targets[resource.driver]
    goal = to_live(resource.spec, target.rules)
    if live is None:
        return PlannedSteps(make_steps(None, goal, resource.rollout, target.traffic))
    state = wanted.baseline.rollouts.get(resource.address)
    base = _base(state, wanted, target)
    if state is None or base is None:
        before = live.stamp.goal if live.stamp is not None else None
        return PlannedSteps(
            make_steps(live.spec, goal, resource.rollout, target.traffic, target.rules), live.spec, before
        )
    steps = make_steps(base, goal, resource.rollout, target.traffic, target.rules)
    if state.goal == resource.goal:
        return _resume(PlannedSteps(steps, base, state.base), live, state, target, wanted.now)
    back = Step("return to the last good version", base)
    if state.base == resource.goal:
        return PlannedSteps((back,), base, state.base, reason="the rollout under way is given up")
    return PlannedSteps((back, *steps), base, state.base, reason="the rollout under way is given up for another goal")


def _base(state: RolloutState | None, wanted: Wanted, target: Target) -> Spec | None:
    spec = wanted.baseline.spec(state.base) if state is not None and state.base is not None else None
    return to_live(spec, target.rules) if spec is not None else None


def _resume(planned: PlannedSteps, live: Observed, state: RolloutState, target: Target, now: float) -> PlannedSteps:
    """Go on at the step that is live; one that soaked in between is checked once more before the next."""
    steps = planned.steps
    at = find_step(steps, live.spec, target.rules)
    if at is None:
        return replace(planned, reason="a rollout was left half-way and starts again")
    rest = steps[at:]
    if state.paused_until is not None and not state.soaks(now):
        rest = (replace(steps[at], soaked=True), *steps[at + 1 :])
    elif state.paused_until is None and state.done and at + 1 < len(steps):
        rest = steps[at + 1 :]
    return replace(planned, steps=rest, resumes=True, reason=f"goes on with a rollout at step {at + 1} of {len(steps)}")

"""Which specs lead from what is live to what is wanted, also when a rollout was left half-way."""

from __future__ import annotations

from dataclasses import dataclass

from mlops.diff import owned
from mlops.plan.baseline import Baseline, RolloutState
from mlops.plan.wanted import Target
from mlops.resource import FieldRule, Kind, Observed, Resource, Spec
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


def plan_steps(resource: Resource, live: Observed | None, baseline: Baseline, target: Target) -> PlannedSteps:
    """Make the steps for one resource.

    Args:
        resource: What is wanted.
        live: What is live; None where it is made anew.
        baseline: What the ledger knows of a rollout under way.
        target: The driver's rules and traffic.
    """
    if resource.address.kind is not Kind.ENDPOINT:
        title = "create" if live is None else "update"
        return PlannedSteps((Step(title, resource.spec),))
    wanted = to_live(resource.spec, target.rules)
    if live is None:
        return PlannedSteps(make_steps(None, wanted, resource.rollout, target.traffic))
    state = baseline.rollouts.get(resource.address)
    base = _base(state, baseline, target.rules)
    if state is None or base is None:
        before = live.stamp.goal if live.stamp is not None else None
        return PlannedSteps(make_steps(live.spec, wanted, resource.rollout, target.traffic), live.spec, before)
    steps = make_steps(base, wanted, resource.rollout, target.traffic)
    if state.goal == resource.goal:
        return _resume(steps, live, base, state, target.rules)
    back = Step("return to the last good version", base)
    if state.base == resource.goal:
        return PlannedSteps((back,), base, state.base, reason="the rollout under way is given up")
    return PlannedSteps((back, *steps), base, state.base, reason="the rollout under way is given up for another goal")


def _base(state: RolloutState | None, baseline: Baseline, rules: tuple[FieldRule, ...]) -> Spec | None:
    spec = baseline.spec(state.base) if state is not None and state.base is not None else None
    return to_live(spec, rules) if spec is not None else None


def _resume(
    steps: tuple[Step, ...], live: Observed, base: Spec, state: RolloutState, rules: tuple[FieldRule, ...]
) -> PlannedSteps:
    views = [Step(s.title, owned(s.spec, s.spec, rules)) for s in steps]
    at = find_step(views, owned(live.spec, steps[-1].spec, rules))
    if at is None:
        return PlannedSteps(steps, base, state.base, reason="a rollout was left half-way and starts again")
    rest = steps[at + 1 :] if state.done and at + 1 < len(steps) else steps[at:]
    reason = f"goes on with a rollout at step {at + 1} of {len(steps)}"
    return PlannedSteps(rest, base, state.base, resumes=True, reason=reason)


def plan_return(
    resource: Resource, live: Observed | None, baseline: Baseline, rules: tuple[FieldRule, ...]
) -> PlannedSteps | None:
    """The way back from a goal that was found bad; None where what is live is not on the way to it."""
    state = baseline.rollouts.get(resource.address)
    base = _base(state, baseline, rules)
    if live is None or live.stamp is None or state is None or base is None or live.stamp.goal != resource.goal:
        return None
    return PlannedSteps((Step("return to the last good version", base),), base, state.base)

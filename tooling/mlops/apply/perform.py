"""Perform one change: its steps, health and checks between them, and the way back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from mlops.apply.checks import HOLD, Soak, score_sample, soak
from mlops.apply.health import TIMEOUTS, Unhealthy, Watch, wait_healthy
from mlops.apply.result import Outcome, Progress, Result
from mlops.clock import Clock
from mlops.driver import Blobs, Driver, Serving
from mlops.errors import Diagnostic, Interrupted, Locked, MlopsError, with_remedy
from mlops.plan.change import Action, Change
from mlops.resource import Address, Kind, Observed, Recorder, Resource, Spec, Stamp
from mlops.rollout import Step, declared_name, traffic_of
from mlops.rules import carry_over, owned, same


@dataclass(frozen=True)
class Site:
    """Where changes are performed.

    Attributes:
        project: The project's id, for stamps.
        stage: The stage, or `shared`.
        drivers: By name.
        recorder: Tells the ledger of this stage.
        blobs: Content by digest, for sample requests.
        clock: Time.
        stop: Set when the user asks to stop.
        progress: Called with one line at a time.
    """

    project: str
    stage: str
    drivers: Mapping[str, Driver]
    recorder: Recorder
    blobs: Blobs | None
    clock: Clock
    stop: threading.Event
    progress: Callable[[Progress], None]

    def stamp(self, address: Address, goal: str) -> Stamp:
        """The stamp to write on an object."""
        return Stamp(self.project, self.stage, str(address), goal)

    def watch(self, change: Change) -> Watch:
        """Where to look while a change is made."""
        return Watch(change.address, self.drivers[change.driver], self.clock, self.stop)

    def say(self, address: Address, phase: str, text: str = "") -> None:
        """Tell of progress."""
        self.progress(Progress(address, phase, text))


class _Return(Exception):
    """A step was found bad; `bad` says whether it is the goal's fault."""

    def __init__(self, reason: str, observed: Observed | None, *, bad: bool) -> None:
        super().__init__(reason)
        self.observed = observed
        self.bad = bad


def _one_line(error: MlopsError) -> str:
    """What an error says and what to do, as a reason: tools that a driver calls say it in many lines."""
    return " ".join(with_remedy(error).split())


def _serves(spec: Spec, resource: Resource) -> Callable[[Observed], bool]:
    """What must be live for a put to have arrived: for an endpoint, exactly its deployments and traffic."""
    if resource.address.kind is not Kind.ENDPOINT:
        return lambda _observed: True

    def shape(of: Spec) -> tuple[set[str], dict[str, int]]:
        deployments = of.get("deployments")
        names = set(deployments) if isinstance(deployments, Mapping) else set()
        return names, {name: weight for name, weight in traffic_of(of).items() if weight}

    wanted = shape(spec)
    return lambda observed: shape(observed.spec) == wanted


def _carried(watch: Watch, spec: Spec) -> Spec:
    """The spec to put: fields that belong to somebody else, such as an autoscaler, as they are at this moment."""
    rules = watch.driver.rules
    if same(owned(spec, spec, rules), spec):
        return spec
    live = watch.look()
    return carry_over(spec, live.spec, rules) if live is not None else spec


def _put(
    site: Site, change: Change, spec: Spec, goal: str, deployments: Sequence[str] = ()
) -> tuple[Mapping[str, str], Observed | None]:
    """Put a spec and wait for the health of these live deployments; none named: of the whole.

    Raises:
        Unhealthy: It did not become healthy.
        TargetError: The target refused or failed.
        Locked: The lock was lost; nothing was written.
    """
    resource = change.desired
    if resource is None:
        raise AssertionError(change.address)
    watch = site.watch(change)
    spec = _carried(watch, spec)
    site.recorder.held()
    outputs = watch.driver.put(replace(resource, spec=spec), site.stamp(change.address, goal))
    timeout = TIMEOUTS.get(change.address.kind)
    if timeout is None:
        return outputs, None
    observed = wait_healthy(watch, resource.timeout or timeout, _serves(spec, resource), deployments)
    return {**outputs, **observed.outputs}, observed


def _check(site: Site, change: Change, step: Step, observed: Observed) -> float | None:
    """Check a step that is live and healthy.

    Returns:
        Epoch seconds until which it soaks, where that is too long for this run.

    Raises:
        Unhealthy: A check failed.
    """
    resource = change.desired
    watch = site.watch(change)
    if resource is None:
        return None
    checks = resource.rollout.checks
    if checks.sample_request and isinstance(watch.driver, Serving):
        wrong = score_sample(resource, watch.driver, site.blobs, _sampled(resource, step))
        if wrong is not None:
            raise Unhealthy(wrong, observed)
    if step.soaked:
        left = replace(checks, deadline=max(0.0, checks.deadline - step.soak))
        soak(watch, Soak(step, left, {}, 0.0), observed)
        return None
    if step.soak > HOLD:
        return site.clock.time() + step.soak
    soak(watch, Soak(step, checks, observed.traffic, step.soak), observed)
    return None


def _sampled(resource: Resource, step: Step) -> tuple[str, ...]:
    """The live deployments that the sample request is for."""
    sample = resource.spec.get("sample_request")
    meant = sample.get("deployment") if isinstance(sample, Mapping) else None
    return tuple(name for name in step.check if meant is None or declared_name(step.spec, name) == meant)


def _step(site: Site, change: Change, index: int, goal: str) -> tuple[Result, float | None]:
    """Put one step, wait and check.

    Raises:
        _Return: It was found bad, or a later step than the first could not be put.
    """
    step = change.steps[index]
    observed: Observed | None = None
    try:
        outputs, observed = _put(site, change, step.spec, goal, step.check)
        until = _check(site, change, step, observed) if observed is not None else None
    except Unhealthy as error:
        raise _Return(str(error), error.observed, bad=True) from error
    except (Interrupted, Locked):
        raise
    except MlopsError as error:
        if index == 0:
            raise
        raise _Return(_one_line(error), observed, bad=False) from error
    health = observed.health if observed is not None else None
    return Result(change.address, site.stage, change.action, Outcome.DONE, "", goal, outputs, health), until


def _steps(site: Site, change: Change, goal: str) -> Result:
    """Put all steps, one after the other; the ledger is told of each that moves traffic, before it and after it."""
    result = Result(change.address, site.stage, change.action, Outcome.DONE, goal=goal)
    several = len(change.steps) > 1
    for index, step in enumerate(change.steps):
        if index and site.stop.is_set():
            raise Interrupted(Diagnostic("Stopped on request", f"{change.address} is at step {index}."))
        site.say(change.address, "step" if several else change.action.value, step.title)
        if several:
            site.recorder.step(change.address, goal, index, step.spec, done=False)
        result, until = _step(site, change, index, goal)
        if several and step.weight:
            site.recorder.step(change.address, goal, index, step.spec, done=True)
        if until is not None:
            site.recorder.pause(change.address, until, f"soaking: {step.title}")
            return replace(result, outcome=Outcome.PAUSED, reason=f"soaking: {step.title}")
    return result


def _remember(site: Site, change: Change, goal: str, cause: _Return) -> str:
    """Tell the ledger of a goal that was found bad; what to add to the reason where it cannot be told."""
    if not cause.bad:
        return ""
    try:
        site.recorder.denied(change.address, goal, str(cause))
    except Locked:
        raise
    except MlopsError as error:
        return f"; the ledger could not remember it: {error}"
    return ""


def _give_back(site: Site, change: Change, goal: str, cause: _Return) -> Result:
    """Remember a goal that was found bad, then put the last good state back: the other way a kill would forget it."""
    health = cause.observed.health if cause.observed is not None else None
    failed = Result(change.address, site.stage, change.action, Outcome.FAILED, str(cause), None, health=health)
    if change.start is None or change.start_goal is None or change.start_goal == goal:
        return failed
    site.say(change.address, "return", str(cause))
    reason = f"{cause}{_remember(site, change, goal, cause)}"
    try:
        _put(site, change, change.start, change.start_goal)
    except Unhealthy as error:
        return replace(failed, reason=f"{reason}; the last good version was put back and is not healthy: {error}")
    except (Interrupted, Locked):
        raise
    except MlopsError as error:
        return replace(failed, reason=f"{reason}; putting the last good version back failed: {_one_line(error)}")
    reason = f"{reason}; returned to the last good version"
    return replace(failed, outcome=Outcome.RETURNED, reason=reason, goal=change.start_goal)


def _advance(site: Site, change: Change) -> Result:
    goal = change.goal or ""
    try:
        return _steps(site, change, goal)
    except _Return as cause:
        return _give_back(site, change, goal, cause)


def _replace(site: Site, change: Change) -> Result:
    site.recorder.held()
    site.drivers[change.driver].delete(change.address)
    return _advance(site, change)


def _delete(site: Site, change: Change) -> Result:
    site.say(change.address, "delete", change.reason)
    site.recorder.held()
    site.drivers[change.driver].delete(change.address)
    return Result(change.address, site.stage, change.action, Outcome.DONE)


def _perform(site: Site, change: Change) -> Result:
    done = Result(change.address, site.stage, change.action, Outcome.DONE)
    match change.action:
        case Action.NONE:
            return done
        case Action.WAIT:
            return replace(done, outcome=Outcome.WAITING, reason=f"waits for {', '.join(change.waits)}")
        case Action.BLOCKED:
            return replace(done, outcome=Outcome.BLOCKED, reason=change.reason)
        case Action.DELETE:
            return _delete(site, change)
        case Action.CREATE | Action.UPDATE:
            return _advance(site, change)
        case Action.REPLACE:
            return _replace(site, change)
        case _:
            assert_never(change.action)


def perform(site: Site, change: Change) -> Result:
    """Perform one change; whatever happens becomes its result.

    Raises:
        Locked: The lock was lost, so nothing more may be written.
    """
    failed = Result(change.address, site.stage, change.action, Outcome.FAILED)
    try:
        return _perform(site, change)
    except Interrupted as error:
        return replace(failed, outcome=Outcome.CANCELLED, reason=_one_line(error))
    except Locked:
        raise
    except MlopsError as error:
        return replace(failed, reason=_one_line(error))
    except Exception as error:  # noqa: BLE001 - a bug in one change must not strand the rest; it is shown with its traceback
        return replace(failed, reason=f"{type(error).__name__}: {error}", error=error)

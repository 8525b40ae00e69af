"""Perform one change: its steps, health and checks between them, and the way back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from mlops.apply.checks import HOLD, score_sample, soak
from mlops.apply.clock import Clock
from mlops.apply.health import TIMEOUTS, Unhealthy, Watch, wait_healthy
from mlops.apply.result import Outcome, Progress, Result
from mlops.driver import Blobs, Driver, Serving
from mlops.errors import Interrupted, Locked, MlopsError
from mlops.plan.change import Action, Change
from mlops.resource import Address, Kind, Observed, Recorder, Resource, Spec, Stamp
from mlops.rollout import Step


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

    def say(self, address: Address, phase: str, text: str = "") -> None:
        """Tell of progress."""
        self.progress(Progress(address, phase, text))


class _Return(Exception):
    """A step was found bad; `bad` says whether it is the goal's fault."""

    def __init__(self, reason: str, observed: Observed | None, *, bad: bool) -> None:
        super().__init__(reason)
        self.observed = observed
        self.bad = bad


def _live_names(spec: Spec, resource: Resource) -> Callable[[Observed], bool]:
    """What must be live for a put to have arrived: for an endpoint, exactly its deployments and traffic."""
    if resource.address.kind is not Kind.ENDPOINT:
        return lambda _observed: True
    deployments = spec.get("deployments")
    names = set(deployments) if isinstance(deployments, Mapping) else set()

    def arrived(observed: Observed) -> bool:
        live = observed.spec.get("deployments")
        return isinstance(live, Mapping) and set(live) == names

    return arrived


def _put(site: Site, change: Change, spec: Spec, goal: str) -> tuple[Mapping[str, str], Observed | None]:
    """Put a spec and wait for health.

    Raises:
        Unhealthy: It did not become healthy.
        TargetError: The target refused or failed.
        Locked: The lock was lost; nothing was written.
    """
    resource = change.desired
    if resource is None:
        raise AssertionError(change.address)
    site.recorder.held()
    driver = site.drivers[change.driver]
    outputs = driver.put(replace(resource, spec=spec), site.stamp(change.address, goal))
    timeout = TIMEOUTS.get(change.address.kind)
    if timeout is None:
        return outputs, None
    watch = Watch(change.address, driver, site.clock, site.stop)
    observed = wait_healthy(watch, resource.timeout or timeout, _live_names(spec, resource))
    return {**outputs, **observed.outputs}, observed


def _check(site: Site, change: Change, step: Step, observed: Observed) -> float | None:
    """Check a step that is live and healthy.

    Returns:
        Epoch seconds until which it soaks, where that is too long for this run.

    Raises:
        Unhealthy: A check failed.
    """
    resource = change.desired
    driver = site.drivers[change.driver]
    if resource is None:
        return None
    checks = resource.rollout.checks
    if checks.sample_request and isinstance(driver, Serving) and step.check:
        wrong = score_sample(resource, driver, site.blobs, step.check)
        if wrong is not None:
            raise Unhealthy(wrong, observed)
    watch = Watch(change.address, driver, site.clock, site.stop)
    if step.soak > HOLD:
        soak(watch, step, replace(checks, max_error_rate=None), observed, 0)
        return site.clock.now() + step.soak
    soak(watch, step, checks, observed, step.soak)
    return None


def _steps(site: Site, change: Change, goal: str) -> Result:
    outputs: Mapping[str, str] = {}
    observed: Observed | None = None
    for index, step in enumerate(change.steps):
        site.say(change.address, "step" if len(change.steps) > 1 else change.action.value, step.title)
        if len(change.steps) > 1:
            site.recorder.step(change.address, goal, index, step.spec, done=False)
        try:
            outputs, observed = _put(site, change, step.spec, goal)
            until = _check(site, change, step, observed) if observed is not None else None
        except Unhealthy as error:
            raise _Return(str(error), error.observed, bad=True) from error
        except (Interrupted, Locked):
            raise
        except MlopsError as error:
            if index == 0:
                raise
            raise _Return(str(error), observed, bad=False) from error
        if until is not None:
            site.recorder.pause(change.address, until, f"soaking: {step.title}")
            return Result(
                change.address, site.stage, change.action, Outcome.PAUSED, f"soaking: {step.title}", goal, outputs
            )
    health = observed.health if observed is not None else None
    return Result(change.address, site.stage, change.action, Outcome.DONE, "", goal, outputs, health)


def _give_back(site: Site, change: Change, goal: str, cause: _Return) -> Result:
    """Put the last good state back, and remember a goal that was found bad."""
    health = cause.observed.health if cause.observed is not None else None
    failed = Result(change.address, site.stage, change.action, Outcome.FAILED, str(cause), None, health=health)
    if change.start is None or change.start_goal is None or change.start_goal == goal:
        return failed
    site.say(change.address, "return", str(cause))
    try:
        _put(site, change, change.start, change.start_goal)
    except Unhealthy as error:
        reason = f"{cause}; the last good version was put back and is not healthy: {error}"
        return replace(failed, reason=reason)
    except MlopsError as error:
        return replace(failed, reason=f"{cause}; putting the last good version back failed: {error}")
    if cause.bad:
        site.recorder.denied(change.address, goal, str(cause))
    return replace(
        failed, outcome=Outcome.RETURNED, reason=f"{cause}; returned to the last good version", goal=change.start_goal
    )


def _replace(site: Site, change: Change, goal: str) -> Result:
    site.recorder.held()
    site.drivers[change.driver].delete(change.address)
    return _steps(site, change, goal)


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
            return _steps(site, change, change.goal or "")
        case Action.REPLACE:
            return _replace(site, change, change.goal or "")
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
    except _Return as cause:
        return _give_back(site, change, change.goal or "", cause)
    except Interrupted as error:
        return replace(failed, outcome=Outcome.CANCELLED, reason=str(error))
    except Locked:
        raise
    except MlopsError as error:
        return replace(failed, reason=str(error))
    except Exception as error:  # noqa: BLE001 - a bug in one change must not strand the rest; it is shown with its traceback
        return replace(failed, reason=f"{type(error).__name__}: {error}", error=error)

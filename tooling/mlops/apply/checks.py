"""The checks between the steps of a rollout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlops.apply.health import Unhealthy, Watch
from mlops.driver import Blobs, Serving
from mlops.errors import MlopsError
from mlops.resource import JSON, Checks, HealthState, Observed, Resource, Traffic
from mlops.rollout import Step

HOLD = 60.0
"""Seconds of soak that a run waits for itself; a longer soak is left to a later run."""


def close(left: JSON, right: JSON, tolerance: float) -> bool:
    """Whether two JSON values are equal, numbers within a relative or absolute tolerance."""
    match left, right:
        case (bool(), _) | (_, bool()):
            return left is right
        case (int() | float(), int() | float()):
            return abs(left - right) <= tolerance * max(1.0, abs(left), abs(right))
        case (str(), _) | (_, str()):
            return left == right
        case Mapping(), Mapping():
            return left.keys() == right.keys() and all(close(left[key], right[key], tolerance) for key in left)
        case Sequence(), Sequence():
            return len(left) == len(right) and all(close(a, b, tolerance) for a, b in zip(left, right, strict=True))
        case _:
            return left == right


def _text(value: object, limit: int = 120) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value)
    return text if len(text) <= limit else f"{text[:limit]}…"


def score_sample(resource: Resource, driver: Serving, blobs: Blobs | None, deployments: Sequence[str]) -> str | None:
    """Score the sample request on each live deployment and compare with the expected answer.

    Returns:
        What is wrong, in one line; None where all is well or nothing is declared.
    """
    sample = resource.spec.get("sample_request")
    if not isinstance(sample, Mapping) or blobs is None:
        return None
    body = blobs.path(str(sample["request"])).read_bytes()
    tolerance = sample.get("tolerance", 1e-6)
    for name in deployments:
        try:
            answer = driver.score(resource.address, body, name)
        except MlopsError as error:
            return f"the sample request got no answer from {name}: {error}"
        if answer.status != 200:
            return f"the sample request got status {answer.status} from {name}: {_text(answer.body)}"
        if "expected" not in sample:
            continue
        try:
            value = json.loads(answer.body)
        except ValueError:
            return f"the answer of {name} to the sample request is not JSON: {_text(answer.body)}"
        if not close(sample["expected"], value, float(tolerance) if isinstance(tolerance, int | float) else 1e-6):
            return f"{name} answered the sample request with {_text(value)}; expected {_text(sample['expected'])}"
    return None


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Requests and errors of the new deployments since a step began."""

    requests: int
    errors: int

    def verdict(self, checks: Checks) -> bool | None:
        """True good, False bad, None unknown: too few requests to tell."""
        if checks.max_error_rate is None:
            return True
        if self.requests < max(checks.min_requests, 1):
            return None if checks.min_requests else True
        return self.errors <= checks.max_error_rate * self.requests


def error_rate(before: Mapping[str, Traffic], now: Observed, deployments: Sequence[str]) -> ErrorRate:
    """Count what the gateway counted since `before`; counters that went back began anew."""
    requests = errors = 0
    for name in deployments:
        counted = now.traffic.get(name, Traffic(0, 0))
        start = before.get(name, Traffic(0, 0))
        if counted.requests < start.requests:
            start = Traffic(0, 0)
        requests += counted.requests - start.requests
        errors += counted.errors - start.errors
    return ErrorRate(requests, errors)


@dataclass(frozen=True, slots=True)
class Soak:
    """What decides whether a step stays good.

    Attributes:
        step: The step that is live.
        checks: What to check.
        before: What was counted when the step began, by live deployment.
        seconds: How long it has to stay good in this run.
    """

    step: Step
    checks: Checks
    before: Mapping[str, Traffic]
    seconds: float

    @property
    def deadline(self) -> float:
        """Seconds after which an error rate that is still unknown counts as bad."""
        unknown = self.step.weight and self.checks.max_error_rate is not None and self.checks.min_requests
        return max(self.seconds, self.checks.deadline if unknown else 0.0)

    def judge(self, now: Observed) -> bool:
        """Whether enough is known, and good.

        Raises:
            Unhealthy: It is bad.
        """
        health = now.health_of(self.step.check)
        if health.state not in (HealthState.HEALTHY, HealthState.TRANSITIONING):
            raise Unhealthy(f"went bad while soaking: {health.reason or health.state}", now)
        if not self.step.weight:
            return True
        rate = self.rate(now)
        verdict = rate.verdict(self.checks)
        if verdict is False:
            raise Unhealthy(f"{rate.errors} of {rate.requests} requests failed at {self.step.weight} %", now)
        return verdict is True

    def rate(self, now: Observed) -> ErrorRate:
        """Requests and errors of the new deployments since the step began."""
        return error_rate(self.before, now, self.step.check)


def soak(watch: Watch, soaking: Soak, observed: Observed) -> None:
    """Keep a step under watch until its soak is over and its error rate is known to be good.

    Args:
        watch: Where to look.
        soaking: What decides.
        observed: The live object as it was seen last.

    Raises:
        Unhealthy: It went bad, or too few requests came before the deadline.
        Interrupted: The user asked to stop.
        TargetError: The target does not say.
    """
    started = watch.clock.uptime()
    known = soaking.judge(observed)
    if known and soaking.seconds <= 0:
        return
    for now in watch.looks(started + soaking.deadline):
        if now is None:
            raise Unhealthy("went bad while soaking: it is gone", None)
        observed = now
        known = soaking.judge(observed)
        if known and watch.clock.uptime() - started >= soaking.seconds:
            return
    if not known:
        came, needed = soaking.rate(observed).requests, soaking.checks.min_requests
        raise Unhealthy(f"unknown at the deadline: {came} requests came, {needed} are needed", observed)

"""Soaks and error rates: what is counted, when it is enough, and what is unknown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.unit.engine.world import (
    FRAUD,
    V1,
    V2,
    V3,
    World,
    fraud,
    outcomes,
    sick,
    versions,
)

from mlops.apply.checks import ErrorRate, error_rate
from mlops.resource import Checks, HealthState, Observed, Rollout, Traffic
from mlops.rollout import traffic_of

ALL = (V1, V2, V3)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One endpoint that serves version 1."""
    made = World(samples=tmp_path)
    made.apply([*ALL, fraud("1")])
    made.progress.clear()
    return made


def after_waiting(world: World, seconds: float, act: Callable[[], object]) -> None:
    """Let something happen once so many seconds were waited for."""
    due = world.clock.uptime() + seconds

    def tick() -> None:
        if world.clock.uptime() >= due:
            act()

    world.clock.tick = tick


def rated(*weights: int, requests: int = 20, soak: float = 0.0, deadline: float = 600.0) -> Rollout:
    return Rollout("canary", weights, soak, Checks(False, 0.1, requests, deadline))


def serving(world: World, requests_a_second: float, error_share: float) -> None:
    """Count requests on the new version while time passes."""
    lock = threading.Lock()

    def tick() -> None:
        with lock:
            live = world.west.objects[FRAUD].spec
            counts = {}
            for name, weight in traffic_of(live).items():
                seen = int(world.clock.uptime() * requests_a_second * (weight > 0))
                counts[name] = Traffic(seen, int(seen * error_share))
            world.west.traffic[FRAUD] = counts

    world.clock.tick = tick


def test_enough_good_requests_let_a_step_pass(world: World) -> None:
    serving(world, 10, 0.0)
    started = world.clock.uptime()
    assert outcomes(world.apply([*ALL, fraud("2", rollout=rated(10))])) == {str(FRAUD): "done"}
    assert 2 <= world.clock.uptime() - started < 20


def test_too_many_errors_return(world: World) -> None:
    serving(world, 10, 0.5)
    result = world.apply([*ALL, fraud("2", rollout=rated(10))]).results[FRAUD]
    assert result.outcome == "returned"
    assert "requests failed at 10 %" in result.reason
    assert world.state.denied[FRAUD]


def test_too_few_requests_are_unknown_and_return_at_the_deadline(world: World) -> None:
    serving(world, 0.01, 0.0)
    started = world.clock.uptime()
    result = world.apply([*ALL, fraud("2", rollout=rated(10, deadline=120.0))]).results[FRAUD]
    assert result.outcome == "returned"
    assert "unknown at the deadline: 1 requests came, 20 are needed" in result.reason
    assert world.clock.uptime() - started == pytest.approx(120, abs=2)


def test_a_step_stays_for_its_whole_soak(world: World) -> None:
    started = world.clock.uptime()
    soaking = Rollout("canary", (10, 50), 30.0, Checks(sample_request=False))
    assert outcomes(world.apply([*ALL, fraud("2", rollout=soaking)])) == {str(FRAUD): "done"}
    assert world.clock.uptime() - started == pytest.approx(90, abs=3)


def test_a_version_that_fails_in_its_soak_is_returned_from(world: World) -> None:
    after_waiting(world, 10, lambda: setattr(world.west, "judge", sick("2", state=HealthState.UNHEALTHY)))
    soaking = Rollout("canary", (10,), 30.0, Checks(sample_request=False))
    result = world.apply([*ALL, fraud("2", rollout=soaking)]).results[FRAUD]
    assert result.outcome == "returned"
    assert "went bad while soaking: version 2 crashed" in result.reason


def test_errors_late_in_a_soak_return(world: World) -> None:
    serving(world, 10, 0.0)
    calm = world.clock.tick

    def worse() -> None:
        calm()
        if world.clock.uptime() > 20:
            counts = world.west.traffic[FRAUD]
            world.west.traffic[FRAUD] = {n: Traffic(t.requests, t.requests // 2) for n, t in counts.items()}

    world.clock.tick = worse
    result = world.apply([*ALL, fraud("2", rollout=rated(10, soak=50.0))]).results[FRAUD]
    assert result.outcome == "returned"
    assert "requests failed" in result.reason


def test_an_endpoint_that_vanishes_in_its_soak_is_put_back(world: World) -> None:
    after_waiting(world, 10, lambda: world.west.objects.pop(FRAUD, None))
    soaking = Rollout("canary", (10,), 30.0, Checks(sample_request=False))
    result = world.apply([*ALL, fraud("2", rollout=soaking)]).results[FRAUD]
    assert "it is gone" in result.reason


def soaked(world: World, requests: int, errors: int) -> dict[str, str]:
    """Apply a canary with a soak of an hour, and again after it, with what was counted meanwhile."""
    wanted = [*ALL, fraud("2", rollout=rated(10, soak=3600.0))]
    assert outcomes(world.apply(wanted)) == {str(FRAUD): "paused"}
    live = world.live()[FRAUD].spec
    world.west.traffic[FRAUD] = {n: Traffic(requests, errors) for n in traffic_of(live)}
    world.clock.advance(3601)
    return outcomes(world.apply(wanted))


@pytest.mark.parametrize(
    ("before", "now", "rate"),
    [
        ({}, {"new": Traffic(5, 1)}, ErrorRate(5, 1)),
        ({"new": Traffic(3, 1)}, {"new": Traffic(5, 1)}, ErrorRate(2, 0)),
        ({"new": Traffic(30, 9)}, {"new": Traffic(5, 1)}, ErrorRate(5, 1)),
        ({"new": Traffic(3, 1)}, {}, ErrorRate(0, 0)),
        ({}, {"new": Traffic(5, 1), "old": Traffic(9, 9)}, ErrorRate(5, 1)),
        ({"too": Traffic(1, 0)}, {"new": Traffic(5, 1), "too": Traffic(4, 2)}, ErrorRate(8, 3)),
    ],
)
def test_requests_are_counted_since_the_step_began(
    before: Mapping[str, Traffic], now: Mapping[str, Traffic], rate: ErrorRate
) -> None:
    """Only those of the new deployments; a counter that went back belongs to a process that began anew."""
    assert error_rate(before, Observed(FRAUD, {}, None, traffic=now), ("new", "too")) == rate


def test_what_was_counted_during_a_long_soak_decides_after_it(world: World) -> None:
    assert soaked(world, 1000, 1) == {str(FRAUD): "paused"}
    assert versions(world.live()[FRAUD].spec) == {"1": 0, "2": 100}


def test_errors_during_a_long_soak_return(world: World) -> None:
    assert soaked(world, 1000, 500) == {str(FRAUD): "returned"}
    assert versions(world.live()[FRAUD].spec) == {"1": 100}


def test_too_few_requests_during_a_long_soak_are_unknown(world: World) -> None:
    """The deadline was over long before the soak was."""
    started = world.clock.uptime()
    assert soaked(world, 3, 0) == {str(FRAUD): "returned"}
    assert world.clock.uptime() - started < 3700

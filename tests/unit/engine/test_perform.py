"""One change: waiting for health, checks between steps, and the way back. Time passes only where somebody waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.engine.world import (
    CANARY,
    FRAUD,
    STAGE,
    V1,
    V2,
    V3,
    World,
    change_of,
    fraud,
    outcomes,
    sick,
    versions,
)

from mlops.apply.health import TIMEOUTS
from mlops.errors import Diagnostic, TargetError
from mlops.resource import JSON, Checks, Event, Health, HealthState, Kind, Rollout

ALL = (V1, V2, V3)
TRANSITIONING = Health(HealthState.TRANSITIONING, "starting")


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


def events(world: World) -> list[Event]:
    return [r.event for r in world.journals[STAGE].records[2:]]


# ------------------------------------------------------------------------------------------------------------- health


def test_a_change_is_done_once_it_is_healthy(world: World) -> None:
    world.west.health[FRAUD] = TRANSITIONING
    after_waiting(world, 20, world.west.health.clear)
    started = world.clock.uptime()
    assert outcomes(world.apply([*ALL, fraud("1", {"instance_count": 2})])) == {str(FRAUD): "done"}
    assert 20 <= world.clock.uptime() - started < 22


@pytest.mark.parametrize("state", [HealthState.TRANSITIONING, HealthState.UNHEALTHY, HealthState.UNSCHEDULABLE])
def test_what_is_not_healthy_in_time_is_returned_from(world: World, state: HealthState) -> None:
    world.west.judge = lambda _a, spec: Health(state, "no memory") if "2" in versions(spec) else None
    started = world.clock.uptime()
    execution = world.apply([*ALL, fraud("2")])
    assert world.clock.uptime() - started == pytest.approx(TIMEOUTS[Kind.ENDPOINT])
    result = execution.results[FRAUD]
    assert result.outcome == "returned"
    assert result.reason == f"{state} after 300 s: no memory; returned to the last good version"
    assert result.health == Health(state, "no memory")


def test_a_declared_timeout_is_the_limit(world: World) -> None:
    world.west.judge = sick("2", state=HealthState.UNHEALTHY)
    started = world.clock.uptime()
    world.apply([*ALL, replace(fraud("2"), timeout=7.0)])
    assert world.clock.uptime() - started == pytest.approx(7.0)


def test_what_has_failed_is_not_waited_for(world: World) -> None:
    world.west.judge = sick("2")
    started = world.clock.uptime()
    assert world.apply([*ALL, fraud("2")]).results[FRAUD].reason.startswith("version 2 crashed")
    assert world.clock.uptime() == started


def test_looks_grow_rarer_up_to_one_a_second(world: World) -> None:
    world.west.health[FRAUD] = TRANSITIONING
    after_waiting(world, 100, world.west.health.clear)
    before = world.west.calls["observe"]
    world.apply([*ALL, fraud("1", {"instance_count": 2})])
    assert 100 < world.west.calls["observe"] - before < 130


def test_healthy_is_not_enough_while_the_target_still_shows_what_was_before(world: World) -> None:
    """A target that is slow to take over a change is not taken for one that has."""
    old = world.live()[FRAUD]
    new: list[object] = []

    def hide(verb: str, _address: object) -> None:
        if verb == "put" and not new:
            new.append(world.west.objects[FRAUD])
            world.west.objects[FRAUD] = old

    def show() -> None:
        world.west.objects[FRAUD] = new[0]  # type: ignore[assignment]

    world.west.after = hide
    after_waiting(world, 30, show)
    split = {**fraud("1").spec, "traffic": {"blue": 0}}
    assert outcomes(world.apply([*ALL, replace(fraud("1"), spec=split)])) == {str(FRAUD): "done"}
    assert world.clock.uptime() >= 30


def deaf(world: World, *, until: float) -> None:
    """The target does not answer when it is looked at, from its next put until so many seconds have passed."""
    due = world.clock.uptime() + until
    was_put = False

    def refuse(verb: str, _address: object) -> None:
        nonlocal was_put
        was_put = was_put or verb == "put"
        if verb == "observe" and was_put and world.clock.uptime() < due:
            raise TargetError(Diagnostic("No answer", "the API is busy"))

    world.west.before = refuse


def test_a_target_that_does_not_answer_for_a_while_is_asked_again(world: World) -> None:
    deaf(world, until=60)
    assert outcomes(world.apply([*ALL, fraud("2", rollout=CANARY)])) == {str(FRAUD): "done"}


def test_a_target_that_does_not_answer_in_time_is_no_fault_of_the_goal(world: World) -> None:
    deaf(world, until=450)
    result = world.apply([*ALL, fraud("1", {"instance_count": 2})]).results[FRAUD]
    assert (result.outcome, result.reason) == ("failed", "No answer: the API is busy")
    assert world.state.denied == {}


def test_a_target_that_does_not_answer_during_a_soak_is_asked_again(world: World) -> None:
    soaking = Rollout("canary", (10,), 30.0, Checks(sample_request=False))
    calls = 0

    def refuse(verb: str, _address: object) -> None:
        nonlocal calls
        calls += verb == "observe"
        if verb == "observe" and calls % 3 == 0:
            raise TargetError(Diagnostic("No answer", "the API is busy"))

    plan = world.plan([*ALL, fraud("2", rollout=soaking)])
    world.west.before = refuse
    assert outcomes(world.execute(plan)) == {str(FRAUD): "done"}


def test_a_stop_ends_waiting_for_health(world: World) -> None:
    world.west.health[FRAUD] = TRANSITIONING
    after_waiting(world, 5, world.stop.set)
    execution = world.apply([*ALL, fraud("1", {"instance_count": 2})])
    assert outcomes(execution) == {str(FRAUD): "cancelled"}
    assert events(world)[-1] is Event.INTERRUPTED


# ----------------------------------------------------------------------------------------------------- the way back


def test_every_step_is_told_before_it_is_put_and_after_it_was_good(world: World) -> None:
    world.apply([*ALL, fraud("2", rollout=CANARY)])
    steps = [r for r in world.journals[STAGE].records if r.event is Event.STEP]
    told = [(r.body["step"], r.body["done"]) for r in steps]
    assert told == [
        (0, False),
        (1, False),
        (1, True),
        (2, False),
        (2, True),
        (3, False),
        (3, True),
        (4, False),
    ]
    assert [p.text for p in world.progress if p.phase == "step"] == [
        "start beside the old version, without traffic",
        "10 % to the new version",
        "50 % to the new version",
        "100 % to the new version",
        "remove the old version",
    ]


def test_a_bad_version_never_gets_more_traffic_than_it_had_when_it_was_found(world: World) -> None:
    world.west.judge = lambda _a, spec: Health(HealthState.FAILED, "out of memory") if versions(spec)["2"] > 0 else None
    most = 0

    def look(verb: str, _address: object) -> None:
        nonlocal most
        if verb == "put":
            most = max(most, versions(world.west.objects[FRAUD].spec).get("2", 0))

    world.west.after = look
    world.west.judge = judge_share(10)
    execution = world.apply([*ALL, fraud("2", rollout=CANARY)])
    assert outcomes(execution) == {str(FRAUD): "returned"}
    assert most == 10
    assert versions(world.live()[FRAUD].spec) == {"1": 100}
    result = execution.results[FRAUD]
    assert result.goal == fraud("1").goal
    assert world.state.denied[FRAUD] == {fraud("2").goal: "out of memory"}
    assert world.state.good[FRAUD] == fraud("1").goal
    assert world.state.rollouts == {}


def judge_share(percent: int) -> Callable[[object, Mapping[str, JSON]], Health | None]:
    def judge(_address: object, spec: Mapping[str, JSON]) -> Health | None:
        bad = versions(spec).get("2", 0) >= percent
        return Health(HealthState.FAILED, "out of memory") if bad else None

    return judge


def test_a_target_that_refuses_a_later_step_is_returned_from_without_blame(world: World) -> None:
    """The goal may be good: it was the target that failed, so the next run tries it again."""
    puts = 0

    def strike(verb: str, _address: object) -> None:
        nonlocal puts
        puts += verb == "put"
        if verb == "put" and puts == 3:
            raise TargetError(Diagnostic("Refused", "quota"))

    world.west.before = strike
    assert outcomes(world.apply([*ALL, fraud("2", rollout=CANARY)])) == {str(FRAUD): "returned"}
    assert versions(world.live()[FRAUD].spec) == {"1": 100}
    assert world.state.denied == {}
    assert outcomes(world.apply([*ALL, fraud("2", rollout=CANARY)])) == {str(FRAUD): "done"}


def test_a_target_that_refuses_the_first_step_changed_nothing(world: World) -> None:
    def strike(verb: str, _address: object) -> None:
        if verb == "put":
            raise TargetError(Diagnostic("Refused", "quota"))

    world.west.before = strike
    before = world.live()[FRAUD]
    execution = world.apply([*ALL, fraud("2", rollout=CANARY)])
    assert outcomes(execution) == {str(FRAUD): "failed"}
    assert execution.results[FRAUD].reason == "Refused: quota"
    assert world.live()[FRAUD] == before


def test_a_way_back_that_fails_is_told_and_taken_up_by_the_next_run(world: World) -> None:
    world.west.judge = sick("2")
    puts = 0

    def strike(verb: str, _address: object) -> None:
        nonlocal puts
        puts += verb == "put"
        if verb == "put" and puts == 2:
            raise TargetError(Diagnostic("Refused", "quota"))

    world.west.before = strike
    execution = world.apply([*ALL, fraud("2")])
    result = execution.results[FRAUD]
    assert result.outcome == "failed"
    assert result.reason == "version 2 crashed; putting the last good version back failed: Refused: quota"
    assert outcomes(world.apply([*ALL, fraud("2")])) == {str(FRAUD): "done"}
    assert versions(world.live()[FRAUD].spec) == {"1": 100}


def test_a_last_good_version_that_is_not_well_any_more_is_told(world: World) -> None:
    world.west.judge = lambda _a, _spec: Health(HealthState.FAILED, "the node is gone")
    result = world.apply([*ALL, fraud("2")]).results[FRAUD]
    assert result.outcome == "failed"
    assert result.reason == (
        "the node is gone; the last good version was put back and is not healthy: the node is gone"
    )


def test_a_change_in_place_that_goes_bad_is_returned_from_too(world: World) -> None:
    world.west.judge = lambda _a, spec: (
        Health(HealthState.FAILED, "too many") if '"instance_count": 9' in json.dumps(spec) else None
    )
    assert outcomes(world.apply([*ALL, fraud("1", {"instance_count": 9})])) == {str(FRAUD): "returned"}
    assert "instance_count" not in json.dumps(world.live()[FRAUD].spec)
    assert change_of(world.plan([*ALL, fraud("1", {"instance_count": 9})])).action == "blocked"


def test_a_ledger_that_cannot_remember_does_not_keep_a_bad_version_up(world: World) -> None:
    world.west.judge = sick("2")

    def strike(event: Event) -> None:
        if event is Event.DENIED:
            raise TargetError(Diagnostic("Unreachable", "no network"))

    world.journals[STAGE].before = strike
    result = world.apply([*ALL, fraud("2")]).results[FRAUD]
    assert result.outcome == "returned"
    assert "the ledger could not remember it: Unreachable: no network" in result.reason
    assert versions(world.live()[FRAUD].spec) == {"1": 100}


def test_what_a_target_says_to_do_is_in_the_reason() -> None:
    world = World()

    def refuse(verb: str, _address: object) -> None:
        if verb == "put":
            raise TargetError(Diagnostic("Port is taken", "By nginx.", todo="Stop it:\n", command="kill 4711"))

    world.west.before = refuse
    execution = world.apply([V1, fraud("1")])
    assert execution.results[FRAUD].reason == "Port is taken: By nginx. Stop it: `kill 4711`"

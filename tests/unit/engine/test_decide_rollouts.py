"""Decisions about an endpoint whose rollout was left somewhere on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.engine.journal import Killed
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

from mlops.plan import Action
from mlops.resource import Event, HealthState, Rollout

ALL = (V1, V2, V3)


def die_at_put(world: World, number: int) -> None:
    """Kill the run after this many more puts to the compute; its effect is there."""
    left = number

    def strike(verb: str, _address: object) -> None:
        nonlocal left
        if verb == "put":
            left -= 1
            if left <= 0:
                raise Killed

    world.west.after = strike


@pytest.fixture
def half_way() -> Callable[[int], World]:
    """A world in which a canary from 1 to 2 died after so many of its five puts."""

    def make(puts: int) -> World:
        world = World()
        world.apply([*ALL, fraud("1")])
        die_at_put(world, puts)
        with pytest.raises(Killed):
            world.apply([*ALL, fraud("2", rollout=CANARY)])
        world.west.after = lambda _verb, _address: None
        return world

    return make


@pytest.mark.parametrize(
    ("puts", "weights", "titles"),
    [
        (
            1,
            {"1": 100, "2": 0},
            ["start beside", "10 % to", "50 % to", "100 % to", "remove the old"],
        ),
        (2, {"1": 90, "2": 10}, ["10 % to", "50 % to", "100 % to", "remove the old"]),
        (3, {"1": 50, "2": 50}, ["50 % to", "100 % to", "remove the old"]),
        (4, {"1": 0, "2": 100}, ["100 % to", "remove the old"]),
        (5, {"2": 100}, ["look whether"]),
    ],
)
def test_the_same_goal_goes_on_at_the_step_that_is_live(
    half_way: Callable[[int], World], puts: int, weights: dict[str, int], titles: list[str]
) -> None:
    world = half_way(puts)
    assert versions(world.live()[FRAUD].spec) == weights
    change = change_of(world.plan([*ALL, fraud("2", rollout=CANARY)]))
    assert change.action is Action.UPDATE
    assert len(change.steps) == len(titles)
    assert all(step.title.startswith(title) for step, title in zip(change.steps, titles, strict=True))
    assert change.start_goal == fraud("1").goal
    assert outcomes(world.apply([*ALL, fraud("2", rollout=CANARY)])) == {str(FRAUD): "done"}
    assert versions(world.live()[FRAUD].spec) == {"2": 100}
    assert world.state.rollouts == {}


@pytest.mark.parametrize("puts", [1, 2, 3, 4, 5])
def test_a_resumed_step_that_turns_out_bad_returns_to_where_the_rollout_began(
    half_way: Callable[[int], World], puts: int
) -> None:
    world = half_way(puts)
    world.west.judge = sick("2")
    execution = world.apply([*ALL, fraud("2", rollout=CANARY)])
    assert outcomes(execution) == {str(FRAUD): "returned"}
    assert versions(world.live()[FRAUD].spec) == {"1": 100}
    assert world.state.rollouts == {}


@pytest.mark.parametrize("puts", [1, 2, 3, 4])
def test_going_back_to_the_base_gives_the_rollout_up(half_way: Callable[[int], World], puts: int) -> None:
    world = half_way(puts)
    change = change_of(world.plan([*ALL, fraud("1")]))
    assert (change.action, change.reason, len(change.steps)) == (
        Action.UPDATE,
        "the rollout under way is given up",
        1,
    )
    assert outcomes(world.apply([*ALL, fraud("1")])) == {str(FRAUD): "done"}
    assert versions(world.live()[FRAUD].spec) == {"1": 100}
    assert change_of(world.plan([*ALL, fraud("1")])).action is Action.NONE


@pytest.mark.parametrize("puts", [1, 2, 3, 4])
def test_another_goal_returns_to_the_base_first(half_way: Callable[[int], World], puts: int) -> None:
    world = half_way(puts)
    change = change_of(world.plan([*ALL, fraud("3", rollout=CANARY)]))
    assert change.reason == "the rollout under way is given up for another goal"
    seen = [versions(step.spec) for step in change.steps]
    assert seen == [
        {"1": 100},
        {"1": 100, "3": 0},
        {"1": 90, "3": 10},
        {"1": 50, "3": 50},
        {"1": 0, "3": 100},
        {"3": 100},
    ]
    assert outcomes(world.apply([*ALL, fraud("3", rollout=CANARY)])) == {str(FRAUD): "done"}
    assert versions(world.live()[FRAUD].spec) == {"3": 100}


def test_the_fields_of_a_rollout_under_way_are_edits_and_no_drift(half_way: Callable[[int], World]) -> None:
    change = change_of(half_way(2).plan([*ALL, fraud("2", rollout=CANARY)]))
    assert [f.path for f in change.fields] == ["deployments.blue.model.version"]
    assert change.fields[0].reason.startswith("edited in Git;")


def test_a_rollout_that_somebody_else_changed_starts_again_from_its_base(half_way: Callable[[int], World]) -> None:
    world = half_way(3)
    live = world.live()[FRAUD]
    world.west.objects[FRAUD] = replace(live, spec={**live.spec, "tags": {"by": "hand"}})
    change = change_of(world.plan([*ALL, fraud("2", rollout=CANARY)]))
    assert change.reason == "a rollout was left half-way and starts again"
    assert len(change.steps) == 5
    world.apply([*ALL, fraud("2", rollout=CANARY)])
    assert "tags" not in world.live()[FRAUD].spec


def test_an_endpoint_that_vanished_in_a_rollout_is_created_as_wanted(half_way: Callable[[int], World]) -> None:
    world = half_way(3)
    del world.west.objects[FRAUD]
    assert change_of(world.plan([*ALL, fraud("2", rollout=CANARY)])).action is Action.CREATE
    world.apply([*ALL, fraud("2", rollout=CANARY)])
    assert versions(world.live()[FRAUD].spec) == {"2": 100}
    assert world.state.rollouts == {}


def test_a_single_step_that_died_before_it_was_recorded_is_done_again() -> None:
    """Nobody has seen it healthy."""
    world = World()
    die_at_put(world, 1)
    with pytest.raises(Killed):
        world.apply([V1, fraud("1")])
    world.west.after = lambda _verb, _address: None
    change = change_of(world.plan([V1, fraud("1")]))
    assert change.action is Action.UPDATE
    assert change.reason == "as declared, and no run has recorded that it became healthy"
    world.apply([V1, fraud("1")])
    assert change_of(world.plan([V1, fraud("1")])).action is Action.NONE


# ---------------------------------------------------------------------------------------- goals that were found bad


@pytest.fixture
def returned() -> World:
    """A world in which a canary to 2 failed."""
    world = World()
    world.apply([*ALL, fraud("1")])
    world.west.judge = sick("2")
    assert outcomes(world.apply([*ALL, fraud("2", rollout=CANARY)])) == {str(FRAUD): "returned"}
    world.west.judge = None
    return world


def test_a_goal_that_was_returned_from_is_blocked(returned: World) -> None:
    change = change_of(returned.plan([*ALL, fraud("2")]))
    assert change.action is Action.BLOCKED
    assert change.reason == "this goal was returned from before: version 2 crashed"
    assert change.goal == fraud("2").goal
    assert (
        outcomes(
            returned.apply(
                [
                    *ALL,
                    fraud("2"),
                ]
            )
        )
        == {}
    )


def test_a_bad_goal_is_tried_again_only_where_that_was_asked_for(returned: World) -> None:
    execution = returned.apply([*ALL, fraud("2")], retry=[FRAUD])
    assert outcomes(execution) == {str(FRAUD): "done"}
    assert returned.state.denied == {}
    assert change_of(returned.plan([*ALL, fraud("2")])).action is Action.NONE


def test_another_goal_is_not_touched_by_the_memory_of_a_bad_one(returned: World) -> None:
    assert outcomes(returned.apply([*ALL, fraud("3")])) == {str(FRAUD): "done"}
    assert returned.state.denied[FRAUD] == {fraud("2").goal: "version 2 crashed"}


def test_an_endpoint_that_vanished_comes_back_as_it_was_good_last(returned: World) -> None:
    """A restart of the machine must not take an endpoint down because Git names a version that failed."""
    del returned.west.objects[FRAUD]
    plan = returned.plan([*ALL, fraud("2")])
    change = change_of(plan)
    assert change.action is Action.CREATE
    assert "this goal was returned from before" in change.reason
    assert change.goal == fraud("1").goal
    returned.execute(plan)
    assert versions(returned.live()[FRAUD].spec) == {"1": 100}
    assert returned.state.applied[FRAUD].goal == fraud("1").goal
    assert change_of(returned.plan([*ALL, fraud("2")])).action is Action.BLOCKED


def test_what_was_good_last_keeps_the_model_that_it_needs() -> None:
    """Git declares neither that model nor the version any more, and the endpoint has to come back with it."""
    world = World()
    world.apply([V1, fraud("1")])
    world.west.judge = sick("2")
    world.apply([V2, fraud("2")])
    world.west.judge = None
    assert change_of(world.plan([V2, fraud("2")]), V1.address).action is Action.NONE
    del world.west.objects[FRAUD]
    plan = world.plan([V2, fraud("2")])
    assert change_of(plan).goal == fraud("1").goal
    assert (change_of(plan, V1.address).action, change_of(plan, V1.address).reason) == (
        Action.NONE,
        f"no longer declared, kept for {FRAUD}",
    )


def test_a_drift_from_what_was_good_last_is_put_right(returned: World) -> None:
    live = returned.live()[FRAUD]
    returned.west.objects[FRAUD] = replace(live, spec={**live.spec, "traffic": dict.fromkeys(live.spec["traffic"], 0)})  # type: ignore[arg-type]
    change = change_of(returned.plan([*ALL, fraud("2")]))
    assert change.action is Action.UPDATE
    assert "changed outside of Git" in change.reason
    returned.apply([*ALL, fraud("2")])
    assert returned.live()[FRAUD] == live


@pytest.mark.parametrize("event", [Event.DENIED, Event.FAILED])
def test_a_bad_goal_is_left_at_once_when_the_run_that_found_it_died(event: Event) -> None:
    """It is remembered before the way back begins, so the next run does not try it again to find the same."""
    world = World()
    world.apply([*ALL, fraud("1")])
    world.west.judge = sick("2")
    journal = world.journals[STAGE]

    def strike(happened: Event) -> None:
        if happened is event:
            raise Killed

    journal.after = strike if event is Event.DENIED else lambda _event: None
    journal.before = strike if event is Event.FAILED else lambda _event: None
    with pytest.raises(Killed):
        world.apply([*ALL, fraud("2", rollout=CANARY)])
    journal.before = journal.after = lambda _event: None
    world.west.calls.clear()
    execution = world.apply([*ALL, fraud("2", rollout=CANARY)])
    assert outcomes(execution) == ({str(FRAUD): "done"})
    assert versions(world.live()[FRAUD].spec) == {"1": 100}
    assert world.west.calls["put"] == 1
    assert world.state.good[FRAUD] == fraud("1").goal
    assert world.state.rollouts == {}
    assert change_of(world.plan([*ALL, fraud("2")])).action is Action.BLOCKED


def test_a_first_deployment_that_fails_is_tried_again_by_every_run() -> None:
    """There is nothing to return to, so there is nothing to remember."""
    world = World()
    world.west.judge = sick("1")
    assert outcomes(world.apply([V1, fraud("1")])) == {V1.address.__str__(): "done", str(FRAUD): "failed"}
    assert outcomes(world.apply([V1, fraud("1")])) == {str(FRAUD): "failed"}
    world.west.judge = None
    assert outcomes(world.apply([V1, fraud("1")])) == {str(FRAUD): "done"}


# ------------------------------------------------------------------------------------- what is sick and is replaced


@pytest.mark.parametrize("rollout", [Rollout(), CANARY, Rollout("blue_green")], ids=lambda r: r.strategy)
def test_a_first_deployment_that_failed_is_mended_by_another_version(rollout: Rollout) -> None:
    """The sick version is not waited for, and is no fault of the new one that would be remembered."""
    world = World()
    world.west.judge = sick("1")
    assert outcomes(world.apply([*ALL, fraud("1")]))[str(FRAUD)] == "failed"
    assert outcomes(world.apply([*ALL, fraud("2", rollout=rollout)])) == {str(FRAUD): "done"}
    assert versions(world.live()[FRAUD].spec) == {"2": 100}
    assert world.state.denied == {}


def test_a_version_that_went_bad_while_it_served_is_replaced() -> None:
    world = World()
    world.apply([*ALL, fraud("1")])
    world.west.judge = sick("1", state=HealthState.UNHEALTHY)
    assert outcomes(world.apply([*ALL, fraud("2", rollout=CANARY)])) == {str(FRAUD): "done"}
    assert world.state.denied == {}


def test_of_two_sick_versions_the_new_one_is_told_and_remembered() -> None:
    world = World()
    world.west.judge = sick("1", "2")
    world.apply([*ALL, fraud("1")])
    world.apply([*ALL, fraud("2", rollout=CANARY)])
    assert list(world.state.denied[FRAUD].values()) == ["version 2 crashed"]

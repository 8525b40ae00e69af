"""Soaks that are left to a later run: what the next plan makes of them."""

from __future__ import annotations

from tests.unit.engine.world import (
    FRAUD,
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
from mlops.resource import Checks, Health, HealthState, Resource, Rollout

ALL = (V1, V2, V3)
SOAKING = Rollout("canary", (10, 50), 3600.0, Checks(sample_request=False))


def pause(world: World, resource: Resource) -> None:
    world.apply([*ALL, fraud("1")])
    assert outcomes(world.apply([*ALL, resource])) == {str(FRAUD): "paused"}


def test_a_long_soak_is_left_to_a_later_run() -> None:
    world = World()
    pause(world, fraud("2", rollout=SOAKING))
    assert versions(world.live()[FRAUD].spec) == {"1": 90, "2": 10}
    change = change_of(world.plan([*ALL, fraud("2", rollout=SOAKING)]))
    assert (change.action, change.reason) == (Action.WAIT, "the step under way is soaking")
    assert change.waits == ("paused until 2023-11-14 23:13:20Z",)
    assert world.apply([*ALL, fraud("2", rollout=SOAKING)]).results == {}


def test_once_it_has_soaked_the_next_step_follows_until_all_are_done() -> None:
    world = World()
    wanted = [*ALL, fraud("2", rollout=SOAKING)]
    pause(world, wanted[-1])
    seen = []
    for _ in range(3):
        world.clock.advance(3601)
        ended = outcomes(world.apply(wanted))[str(FRAUD)]
        seen.append((ended, versions(world.live()[FRAUD].spec)))
    assert seen == [
        ("paused", {"1": 50, "2": 50}),
        ("paused", {"1": 0, "2": 100}),
        ("done", {"2": 100}),
    ]
    assert world.state.rollouts == {}


def test_a_step_that_went_bad_while_it_soaked_is_not_waited_for() -> None:
    world = World()
    wanted = [*ALL, fraud("2", rollout=SOAKING)]
    pause(world, wanted[-1])
    world.west.judge = sick("2")
    change = change_of(world.plan(wanted))
    assert change.action is Action.UPDATE
    assert outcomes(world.apply(wanted)) == {str(FRAUD): "returned"}
    assert versions(world.live()[FRAUD].spec) == {"1": 100}


def test_a_step_that_recovered_before_its_soak_was_over_soaks_again() -> None:
    world = World()
    wanted = [*ALL, fraud("2", rollout=SOAKING)]
    pause(world, wanted[-1])
    world.west.health[FRAUD] = Health(HealthState.UNHEALTHY, "restarting")
    plan = world.plan(wanted)
    world.west.health.clear()
    assert outcomes(world.execute(plan)) == {str(FRAUD): "paused"}
    assert versions(world.live()[FRAUD].spec) == {"1": 90, "2": 10}


def test_a_soak_is_given_up_for_another_goal_without_waiting() -> None:
    world = World()
    pause(world, fraud("2", rollout=SOAKING))
    assert outcomes(world.apply([*ALL, fraud("3")])) == {str(FRAUD): "done"}
    assert versions(world.live()[FRAUD].spec) == {"3": 100}


def test_the_version_before_is_kept_while_its_successor_soaks() -> None:
    """It is not declared any more, and is what the endpoint returns to."""
    world = World()
    world.apply([V1, fraud("1")])
    execution = world.apply([V2, fraud("2", rollout=SOAKING)])
    assert outcomes(execution) == {"model/fraud:2": "done", str(FRAUD): "paused", "model/fraud:1": "skipped"}
    plan = world.plan([V2, fraud("2", rollout=SOAKING)])
    assert change_of(plan, V1.address).action is Action.NONE
    assert change_of(plan, V1.address).reason == f"no longer declared, kept for {FRAUD}"


def test_a_soak_goes_on_while_the_old_version_is_sick() -> None:
    world = World()
    pause(world, fraud("2", rollout=SOAKING))
    world.west.judge = sick("1")
    assert change_of(world.plan([*ALL, fraud("2", rollout=SOAKING)])).action is Action.WAIT


# --------------------------------------------------------------------------------------------------- long soaks

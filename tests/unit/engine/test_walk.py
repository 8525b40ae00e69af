"""The walk over a plan: order, parallelism, what a failure skips, what a stop and a lost lock end."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest
from tests.unit.engine.world import (
    CANARY,
    EAST,
    FRAUD,
    STAGE,
    V1,
    V2,
    WEST,
    World,
    deployment,
    endpoint,
    fraud,
    model,
    outcomes,
    versions,
)

from mlops.apply import Outcome, Result, apply_sections
from mlops.apply.result import exit_code
from mlops.errors import Diagnostic, Exit, Locked, TargetError
from mlops.plan import Action, Change
from mlops.resource import Address, Event, Health, HealthState, Kind, Resource


def failing(world: World, *addresses: Address, verbs: Iterable[str] = ("put", "delete")) -> None:
    def strike(verb: str, address: Address) -> None:
        if verb in verbs and address in addresses:
            raise TargetError(Diagnostic("Refused", f"{address} is not possible"))

    for far in world.targets.values():
        far.before = strike


def many(count: int) -> list[Resource]:
    return [endpoint(f"e{number:02}", {"blue": deployment("fraud:1")}) for number in range(count)]


def test_models_are_there_before_the_endpoints_that_serve_them() -> None:
    world = World()
    calls: list[str] = []
    for far in world.targets.values():
        far.before = lambda verb, address: calls.append(f"{verb} {address}") if verb != "observe" else None
    world.apply([V1, fraud("1")])
    assert calls == ["put model/fraud:1", f"put {FRAUD}"]
    calls.clear()
    world.apply([])
    assert calls == [f"delete {FRAUD}", "delete model/fraud:1"]


@pytest.mark.parametrize("bound", [1, 3])
def test_as_many_changes_at_a_time_as_allowed_and_no_more(bound: int) -> None:
    """Changes meet at a barrier that only the full number can pass, and are counted while they are there."""
    world = World()
    world.apply([V1])
    running = most = 0
    lock = threading.Lock()
    full = threading.Barrier(bound)

    def held() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        full.wait(timeout=100)
        with lock:
            running -= 1

    world.journals[STAGE].lost = held
    execution = world.apply([V1, *many(6)], parallel=bound)
    assert set(outcomes(execution).values()) == {"done"}
    assert most == bound


def test_a_failure_skips_its_dependants_and_nothing_else() -> None:
    world = World()
    spam = model("spam", "1")
    both = endpoint("both", {"blue": deployment("spam:1"), "green": deployment("fraud:1")})
    failing(world, spam.address)
    execution = world.apply([V1, spam, fraud("1"), both])
    assert outcomes(execution) == {
        "model/fraud:1": "done",
        "model/spam:1": "failed",
        str(FRAUD): "done",
        "endpoint/both@west": "skipped",
    }
    assert execution.results[both.address].reason == "skipped: model/spam:1 did not end well"
    assert "model/spam:1 is not possible" in execution.results[spam.address].reason
    assert both.address not in world.live()


def test_a_bug_in_a_driver_is_one_result_with_its_traceback() -> None:
    world = World()

    def crash(verb: str, address: Address) -> None:
        if verb == "put" and address == V1.address:
            raise ZeroDivisionError("of course")

    world.registry.before = crash
    plan = world.plan([V1, V2])
    execution_error: ZeroDivisionError | None = None
    try:
        world.execute(plan)
    except ZeroDivisionError as error:
        execution_error = error
    assert execution_error is not None
    assert V2.address in world.live()
    assert world.journals["shared"].state.run is None


def test_a_bug_on_the_way_back_is_a_result_too() -> None:
    """The way back is driver code as well: it may not strand the other changes."""
    world = World()
    world.apply([V1, V2, fraud("1")])
    world.west.judge = lambda _a, spec: Health(HealthState.FAILED, "no") if "2" in versions(spec) else None
    puts = 0

    def crash(verb: str, address: Address) -> None:
        nonlocal puts
        if verb == "put" and address == FRAUD:
            puts += 1
        if verb == "put" and address == FRAUD and puts == 2:
            raise ZeroDivisionError("on the way back")

    world.west.before = crash
    other = endpoint("other", {"blue": deployment("fraud:1")})
    with pytest.raises(ZeroDivisionError):
        world.apply([V1, V2, fraud("2"), other], parallel=1)
    assert other.address in world.live()
    assert world.state.run is None


def test_a_model_is_kept_while_the_endpoint_that_left_it_has_not_arrived() -> None:
    world = World()
    world.apply([V1, fraud("1")])
    failing(world, FRAUD)
    execution = world.apply([V2, fraud("2")])
    assert outcomes(execution) == {"model/fraud:2": "done", str(FRAUD): "failed", "model/fraud:1": "skipped"}
    assert V1.address in world.live()
    assert outcomes_after_mending(world, [V2, fraud("2")]) == {str(FRAUD): "done", "model/fraud:1": "done"}


def outcomes_after_mending(world: World, resources: list[Resource]) -> dict[str, str]:
    for far in world.targets.values():
        far.before = lambda _verb, _address: None
    return outcomes(world.apply(resources))


def test_a_model_is_kept_when_its_endpoint_cannot_be_deleted() -> None:
    world = World()
    world.apply([V1, fraud("1")])
    failing(world, FRAUD, verbs=["delete"])
    assert outcomes(world.apply([])) == {str(FRAUD): "failed", "model/fraud:1": "skipped"}
    assert outcomes_after_mending(world, []) == {str(FRAUD): "done", "model/fraud:1": "done"}


def test_an_endpoint_that_moves_is_kept_in_its_old_place_until_the_new_one_serves() -> None:
    world = World()
    world.apply([V1, fraud("1")])
    new = endpoint("fraud", {"blue": deployment("fraud:1")}, compute=EAST)
    failing(world, new.address)
    assert outcomes(world.apply([V1, new])) == {str(new.address): "failed", str(FRAUD): "skipped"}
    assert FRAUD in world.live()
    assert outcomes_after_mending(world, [V1, new]) == {str(new.address): "done", str(FRAUD): "done"}
    assert set(world.live()) == {V1.address, new.address}


@pytest.mark.parametrize("fails", [False, True])
def test_within_a_section_a_user_goes_before_what_it_used(*, fails: bool) -> None:
    world = World()
    deleted: list[str] = []

    def strike(verb: str, address: Address) -> None:
        deleted.append(f"{verb} {address}")
        if fails and address == FRAUD:
            raise TargetError(Diagnostic("Refused", "it is locked"))

    world.west.before = strike
    user = Change(FRAUD, Action.DELETE, "", WEST, uses=frozenset({V1.address, V2.address}))
    used = [Change(address, Action.DELETE, "", WEST) for address in (V1.address, V2.address)]
    execution = apply_sections([(world.site(), (*used, user))], parallel=3)
    assert deleted[0] == f"delete {FRAUD}"
    assert sorted(deleted[1:]) == ([] if fails else ["delete model/fraud:1", "delete model/fraud:2"])
    assert outcomes(execution)["model/fraud:1"] == ("skipped" if fails else "done")


def test_an_unrelated_deletion_is_done_whatever_fails() -> None:
    world = World()
    world.apply([V1, V2, fraud("1"), endpoint("old", {"blue": deployment("fraud:1")})])
    failing(world, FRAUD)
    execution = world.apply([V1, V2, fraud("2")])
    assert outcomes(execution) == {str(FRAUD): "failed", "endpoint/old@west": "done"}


def test_a_stop_lets_what_runs_end_and_starts_nothing_more() -> None:
    """Also not what was already handed to a thread."""
    world = World()
    world.apply([V1])
    world.west.after = lambda verb, _address: world.stop.set() if verb == "put" else None
    execution = world.apply([V1, *many(8)], parallel=1)
    ended = list(outcomes(execution).values())
    assert ended.count("done") == 1
    assert ended.count("cancelled") == 7
    assert len(world.west.objects) == 1
    assert world.journals[STAGE].records[-1].event is Event.INTERRUPTED
    assert exit_code(tuple(execution.results.values())) is Exit.INTERRUPTED


def test_a_stop_ends_a_rollout_between_two_steps_and_the_next_run_goes_on() -> None:
    world = World()
    world.apply([V1, V2, fraud("1")])
    puts = 0

    def stop_at_the_second(verb: str, _address: Address) -> None:
        nonlocal puts
        puts += verb == "put"
        if puts == 2:
            world.stop.set()

    world.west.after = stop_at_the_second
    assert outcomes(world.apply([V1, V2, fraud("2", rollout=CANARY)])) == {str(FRAUD): "cancelled"}
    assert versions(world.live()[FRAUD].spec) == {"1": 90, "2": 10}
    world.stop.clear()
    world.west.after = lambda _verb, _address: None
    assert outcomes(world.apply([V1, V2, fraud("2", rollout=CANARY)])) == {str(FRAUD): "done"}
    assert versions(world.live()[FRAUD].spec) == {"2": 100}


def test_a_lost_lock_writes_nothing_more() -> None:
    world = World()
    world.apply([V1])
    asked = 0

    def lost() -> None:
        nonlocal asked
        asked += 1
        if asked > 2:
            raise Locked(Diagnostic("The lock is lost", "somebody broke it"))

    world.journals[STAGE].lost = lost
    execution = world.apply([V1, *many(6)], parallel=1)
    assert isinstance(execution.lost, Locked)
    assert len(world.west.objects) == 2
    assert sorted(outcomes(execution).values()) == ["cancelled"] * 3 + ["done"] * 2 + ["failed"]


def test_a_lock_that_is_lost_on_the_way_back_is_told() -> None:
    world = World()
    world.apply([V1, V2, fraud("1")])
    world.west.judge = lambda _a, spec: Health(HealthState.FAILED, "no") if "2" in versions(spec) else None
    asked = 0

    def lost() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise Locked(Diagnostic("The lock is lost", "somebody broke it"))

    world.journals[STAGE].lost = lost
    execution = world.apply([V1, V2, fraud("2")])
    assert isinstance(execution.lost, Locked)
    assert versions(world.live()[FRAUD].spec) == {"1": 100, "2": 0}


def test_progress_is_told_as_it_happens() -> None:
    world = World()
    world.apply([V1, fraud("1")])
    assert [(str(p.address), p.phase) for p in world.progress] == [
        ("model/fraud:1", "create"),
        ("model/fraud:1", "done"),
        (str(FRAUD), "create"),
        (str(FRAUD), "done"),
    ]


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        ([], Exit.DONE),
        (["done"], Exit.DONE),
        (["failed"], Exit.FAILED),
        (["returned"], Exit.FAILED),
        (["done", "failed"], Exit.PARTIAL),
        (["done", "returned"], Exit.PARTIAL),
        (["failed", "skipped"], Exit.FAILED),
        (["done", "failed", "skipped"], Exit.PARTIAL),
        (["done", "waiting"], Exit.WAITING),
        (["paused"], Exit.WAITING),
        (["done", "blocked", "waiting"], Exit.BLOCKED),
        (["done", "failed", "blocked", "waiting"], Exit.PARTIAL),
        (["failed", "blocked"], Exit.FAILED),
        (["done", "failed", "cancelled"], Exit.INTERRUPTED),
        (["done", "skipped"], Exit.DONE),
    ],
)
def test_the_exit_code_of_an_apply(ended: list[str], code: Exit) -> None:
    results = tuple(Result(Address(Kind.MODEL, "m:1"), STAGE, Action.CREATE, Outcome(name)) for name in ended)
    assert exit_code(results) is code

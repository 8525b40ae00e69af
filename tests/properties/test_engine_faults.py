"""Whatever fails, and wherever a run is killed: the next one converges, and nothing else suffers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.properties.claims import assert_settled, assert_traffic_sound
from tests.properties.estates import Estate, edited_estates
from tests.unit.engine.journal import Killed
from tests.unit.engine.world import CANARY, FRAUD, V1, V2, World, change_of, fraud, outcomes, versions

from mlops.errors import Diagnostic, TargetError
from mlops.plan import Action
from mlops.resource import Address, Checks, Health, HealthState, Kind, Resource, Rollout, Spec


def refuse() -> None:
    raise TargetError(Diagnostic("Refused", "the target said no"))


class Fate:
    """Counts every call to a driver and every write to a ledger, before and after its effect, and strikes at one."""

    def __init__(self, world: World, at: int) -> None:
        self.at = at
        self.seen = 0
        self.struck = False
        self._lock = threading.Lock()
        for far in world.targets.values():
            far.before = far.after = lambda _verb, _address: self.pass_by()
        for journal in world.journals.values():
            journal.before = journal.after = lambda _event: self.pass_by()

    def pass_by(self) -> None:
        with self._lock:
            self.seen += 1
            self.struck = self.struck or self.seen > self.at
            if self.struck:
                raise Killed


def spare(world: World) -> None:
    """Nothing strikes any more."""
    for far in world.targets.values():
        far.before = far.after = lambda _verb, _address: None
    for journal in world.journals.values():
        journal.before = journal.after = lambda _event: None


@given(edited_estates(), st.integers(0, 120), st.sampled_from((1, 4)))
def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(
    pair: tuple[Estate, Estate], at: int, parallel: int
) -> None:
    world = World()
    before, after = pair
    world.apply(before.resources())
    plan = world.plan(after.resources())
    Fate(world, at)
    with contextlib.suppress(Killed):
        world.execute(plan, parallel=parallel)
    spare(world)
    execution = world.apply(after.resources())
    assert set(outcomes(execution).values()) <= {"done", "waiting"}
    assert_settled(world, after)


@given(edited_estates(), st.integers(0, 80), st.integers(0, 80))
def test_a_run_that_is_killed_twice_on_the_way_to_two_goals_converges(
    pair: tuple[Estate, Estate], first: int, second: int
) -> None:
    """Killed on the way to the edit, then on the way back from it."""
    world = World()
    before, after = pair
    world.apply(before.resources())
    for estate, at in ((after, first), (before, second)):
        plan = world.plan(estate.resources())
        Fate(world, at)
        with contextlib.suppress(Killed):
            world.execute(plan)
        spare(world)
    execution = world.apply(before.resources())
    assert set(outcomes(execution).values()) <= {"done", "waiting"}
    assert_settled(world, before)


def strike(world: World, numbers: frozenset[int], *, after: bool) -> None:
    """Fail these puts and deletes, before their effect or after it."""
    lock = threading.Lock()
    seen = 0

    def call(verb: str, _address: Address) -> None:
        nonlocal seen
        if verb == "observe":
            return
        with lock:
            seen += 1
            if seen in numbers:
                refuse()

    for far in world.targets.values():
        if after:
            far.after = call
        else:
            far.before = call


@given(edited_estates(), st.frozensets(st.integers(1, 20), min_size=1, max_size=4), st.booleans())
def test_failed_calls_and_lost_responses_are_made_good_by_the_next_run(
    pair: tuple[Estate, Estate],
    numbers: frozenset[int],
    after: bool,  # noqa: FBT001 - drawn by Hypothesis
) -> None:
    world = World()
    world.apply(pair[0].resources())
    strike(world, numbers, after=after)
    world.apply(pair[1].resources())
    spare(world)
    execution = world.apply(pair[1].resources())
    assert set(outcomes(execution).values()) <= {"done", "waiting"}
    assert_settled(world, pair[1])


def dependants(resources: Iterable[Resource], failing: Address) -> set[Address]:
    """What must not be tried once `failing` has failed, and the object itself."""
    hit = {failing}
    hit |= {r.address for r in resources if failing in r.after}
    return hit


@given(edited_estates(complete=True), st.data(), st.booleans())
def test_a_failing_address_skips_only_its_dependants(
    pair: tuple[Estate, Estate],
    data: st.DataObject,
    after: bool,  # noqa: FBT001 - drawn by Hypothesis
) -> None:
    world = World()
    world.apply(pair[0].resources())
    plan = world.plan(pair[1].resources())
    effective = sorted(c.address for c in plan.changes if c.action not in (Action.NONE, Action.WAIT))
    if not effective:
        return
    failing = data.draw(st.sampled_from(effective))

    def fail(verb: str, address: Address) -> None:
        if address == failing and verb != "observe":
            refuse()

    for far in world.targets.values():
        if after:
            far.after = fail
        else:
            far.before = fail
    execution = world.execute(plan)
    hit = dependants(pair[1].resources(), failing)
    spoiled = {a for a, r in execution.results.items() if r.outcome.value != "done"}
    puts = {a for a in spoiled if execution.results[a].action is not Action.DELETE}
    assert failing in spoiled
    assert puts - {failing} <= hit
    kept = spoiled - puts - {failing}
    for address in kept:
        assert execution.results[address].outcome.value == "skipped"
    assert_only_needed_deletions_are_kept(kept, puts | {failing})
    spare(world)
    world.apply(pair[1].resources())
    assert_settled(world, pair[1])


def assert_only_needed_deletions_are_kept(kept: set[Address], spoiled: set[Address]) -> None:
    """A deletion is skipped for an endpoint that still refers to the object, or was to take its place."""
    stems = {a.name.partition("@")[0] for a in spoiled if a.kind is Kind.ENDPOINT}
    for address in kept:
        if address.kind is Kind.ENDPOINT:
            assert address.name.partition("@")[0] in stems
        else:
            assert stems, (address, spoiled)


def judge_new(served: Mapping[Address, Spec], sick: set[str]) -> Callable[[Address, Spec], Health | None]:
    """New deployments of these model versions fail; what served before stays well."""

    def judge(address: Address, spec: Spec) -> Health | None:
        deployments = spec["deployments"]
        old = served.get(address, {}).get("deployments", {})
        assert isinstance(deployments, Mapping)
        assert isinstance(old, Mapping)
        for name, value in deployments.items():
            assert isinstance(value, Mapping)
            reference = value["model"]
            if name not in old and isinstance(reference, Mapping) and reference["version"] in sick:
                return Health(HealthState.FAILED, f"{name} crashed")
        return None

    return judge


@given(edited_estates(complete=True), st.sets(st.sampled_from(("1", "2", "3")), min_size=1, max_size=2))
def test_old_versions_keep_serving_where_new_ones_are_sick(pair: tuple[Estate, Estate], sick: set[str]) -> None:
    """An endpoint that served keeps all its traffic on what it served with, and a second try is not made by itself."""
    world = World()
    before, after = pair
    world.apply(before.resources())
    served = {a: o.spec for a, o in world.live().items() if a.kind is Kind.ENDPOINT}
    plan = world.plan(after.resources())
    world.west.judge = world.targets["east"].judge = judge_new(served, sick)
    execution = world.execute(plan)
    for address, result in execution.results.items():
        if address in served and result.outcome.value == "returned":
            assert world.live()[address].spec == served[address]
            assert_traffic_sound(world.live()[address].spec)
            assert world.state.denied[address]
    again = world.apply(after.resources())
    returned = {a for a, r in execution.results.items() if r.outcome.value == "returned"}
    assert {a for a, r in again.results.items() if r.outcome.value == "returned"} == set()
    for address in returned:
        assert again.results[address].outcome.value in ("blocked", "skipped") if address in again.results else True
    world.west.judge = world.targets["east"].judge = None
    final = world.apply(after.resources(), retry=returned)
    assert set(outcomes(final).values()) <= {"done"}
    assert_settled(world, after)


ROLLOUTS = st.sampled_from((Rollout(), Rollout("blue_green"), CANARY, Rollout("canary", (5, 20, 80))))


@given(
    ROLLOUTS,
    st.sampled_from((0, 10, 50, 100)),
    st.lists(st.integers(0, 70), max_size=3),
    st.frozensets(st.integers(1, 12), max_size=2),
    st.booleans(),
)
def test_a_bad_version_is_found_left_and_remembered_whatever_else_happens(
    rollout: Rollout,
    threshold: int,
    kills: list[int],
    refused: frozenset[int],
    after: bool,  # noqa: FBT001 - drawn by Hypothesis
) -> None:
    """Runs are killed on the way forth and back, the target refuses or forgets to answer: version 1 serves."""
    world = World()
    world.apply([V1, V2, fraud("1")])
    world.west.judge = sick_at(threshold)
    wanted = [V1, V2, fraud("2", rollout=replace(rollout, checks=Checks(sample_request=False)))]
    for at in kills:
        plan = world.plan(wanted)
        Fate(world, at)
        with contextlib.suppress(Killed):
            world.execute(plan)
        spare(world)
    strike(world, refused, after=after)
    world.apply(wanted)
    spare(world)
    world.apply(wanted)
    assert versions(world.live()[FRAUD].spec) == {"1": 100}
    assert set(world.state.denied[FRAUD]) == {fraud("2").goal}
    assert world.state.good[FRAUD] == world.state.applied[FRAUD].goal == fraud("1").goal
    calls = world.west.calls["put"]
    assert outcomes(world.apply(wanted)) == {}
    assert change_of(world.plan(wanted)).action is Action.BLOCKED
    assert world.west.calls["put"] == calls
    assert world.state.rollouts == {}


def sick_at(threshold: int) -> Callable[[Address, Spec], Health | None]:
    """Version 2 fails once it is live, or once it has so much traffic."""

    def judge(_address: Address, spec: Spec) -> Health | None:
        bad = versions(spec).get("2", -1) >= threshold
        return Health(HealthState.FAILED, "out of memory") if bad else None

    return judge

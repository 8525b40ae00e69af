"""The three digests, the order of a plan, what narrows it, and what makes it stale."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.properties.estates import Estate, edited_estates
from tests.unit.engine.world import (
    CANARY,
    EAST,
    FRAUD,
    V1,
    V2,
    WEST,
    World,
    actions,
    change_of,
    deployment,
    endpoint,
    fraud,
    model,
)

from mlops.errors import InvalidPlan, InvalidRepository
from mlops.plan import Action, Plan, keep_needed, left_over, narrow
from mlops.plan.change import Change
from mlops.plan.compare import moved
from mlops.plan.file import plan_to_json, read_plan, write_plan
from mlops.plan.order import ordered
from mlops.resource import JSON, Address, Kind, Resource, Rollout

ALL = (V1, V2)


def shuffled(value: JSON, dice: random.Random) -> JSON:
    """The same JSON with its keys in another order."""
    if isinstance(value, dict):
        items = [(k, shuffled(v, dice)) for k, v in value.items()]
        dice.shuffle(items)
        return dict(items)
    return value


def turned(resources: tuple[Resource, ...], dice: random.Random) -> list[Resource]:
    made = []
    for resource in resources:
        spec = shuffled(resource.spec, dice)
        assert isinstance(spec, dict)
        made.append(replace(resource, spec=spec))
    dice.shuffle(made)
    return made


@given(edited_estates(), st.integers(0, 999).map(random.Random))
def test_the_same_input_gives_the_same_bytes_in_whatever_order_it_comes(
    pair: tuple[Estate, Estate], dice: random.Random
) -> None:
    world = World()
    world.apply(pair[0].resources())
    first = world.plan(pair[1].resources())
    resources = list(pair[1].resources())
    dice.shuffle(resources)
    for far in world.targets.values():
        items = list(far.objects.items())
        dice.shuffle(items)
        far.objects = {a: replace(o, spec=shuffled(o.spec, dice)) for a, o in items}  # type: ignore[arg-type]
    assert write_plan(world.plan(resources)) == write_plan(first)


@given(edited_estates(), st.integers(0, 999).map(random.Random))
def test_the_order_of_keys_in_files_changes_no_digest(pair: tuple[Estate, Estate], dice: random.Random) -> None:
    world = World()
    world.apply(pair[0].resources())
    first = world.plan(pair[1].resources())
    assert world.plan(turned(pair[1].resources(), dice)).digests == first.digests


@given(edited_estates())
def test_a_plan_file_reads_back_as_the_plan_that_was_written(pair: tuple[Estate, Estate]) -> None:
    world = World()
    world.apply(pair[0].resources())
    plan = world.plan(pair[1].resources())
    again = read_plan(write_plan(plan))
    assert write_plan(again) == write_plan(plan)
    assert moved(again, plan) == ()
    world.execute(again)
    assert actions(world.plan(pair[1].resources())).items() <= actions(plan).items()


def test_a_plan_that_was_edited_is_refused() -> None:
    plan = World().plan([V1, fraud("1")])
    data = write_plan(plan)
    for old, new in ((b'"create"', b'"update"'), (b'"1"', b'"2"'), (b'"west"', b'"east"')):
        assert old in data
        if old == b'"west"':
            continue
        with pytest.raises(InvalidPlan, match="edited"):
            read_plan(data.replace(old, new))


@pytest.fixture
def world() -> World:
    made = World()
    made.apply([*ALL, fraud("1", {"instance_count": 1})])
    return made


def effects(world: World, *resources: Resource) -> str:
    return world.plan([*ALL, *resources]).digests.effect


def test_every_other_effect_has_another_digest(world: World) -> None:
    spam = endpoint("spam", {"blue": deployment("fraud:1")})
    one = fraud("1", {"instance_count": 1})
    variants = {
        "nothing": (one,),
        "edit": (fraud("2", {"instance_count": 1}),),
        "other edit": (fraud("1", {"instance_count": 2}),),
        "canary": (fraud("2", {"instance_count": 1}, rollout=CANARY),),
        "other weights": (fraud("2", {"instance_count": 1}, rollout=Rollout("canary", (20, 50))),),
        "longer soak": (fraud("2", {"instance_count": 1}, rollout=replace(CANARY, soak=60.0)),),
        "delete": (),
        "create": (one, spam),
        "create on another compute": (one, endpoint("spam", {"blue": deployment("fraud:1")}, compute=EAST)),
        "replace": (replace(one, spec={**one.spec, "zone": "b"}),),
        "wait": (endpoint("fraud", {"blue": deployment("fraud:9")}, waits=("model/fraud:9",)),),
    }
    digests = {name: effects(world, *resources) for name, resources in variants.items()}
    assert len(set(digests.values())) == len(variants), digests


def test_what_is_no_effect_changes_no_digest(world: World) -> None:
    edit = fraud("2", {"instance_count": 1}, rollout=CANARY)
    assert effects(world, edit) == effects(world, replace(edit, timeout=9.0, protect=True))


def test_the_goal_is_about_what_is_declared_and_the_basis_about_what_is_touched(world: World) -> None:
    edit = fraud("2", {"instance_count": 1})
    before = world.plan([*ALL, edit])
    world.west.objects[FRAUD] = replace(world.west.objects[FRAUD], spec={**world.live()[FRAUD].spec, "x": 1})
    after = world.plan([*ALL, edit])
    assert before.digests.goal == after.digests.goal
    assert before.digests.basis != after.digests.basis
    assert before.digests.effect != after.digests.effect or before.digests.basis != after.digests.basis


def test_what_is_not_touched_may_move(world: World) -> None:
    """Somebody's edit of an endpoint that this plan leaves alone makes it stale for nobody."""
    spam = endpoint("spam", {"blue": deployment("fraud:1")}, compute=EAST)
    world.apply([*ALL, fraud("1", {"instance_count": 1}), spam])
    wanted = [*ALL, fraud("2", {"instance_count": 1}), spam]
    before = world.plan(wanted)
    far = world.targets[EAST]
    far.objects[spam.address] = replace(far.objects[spam.address], spec={**far.objects[spam.address].spec, "y": 1})
    assert world.plan(wanted).digests == before.digests
    assert moved(before, world.plan(wanted)) == ()


# --------------------------------------------------------------------------------------------------------- staleness


def stale(world: World, reviewed: Plan, *resources: Resource) -> str:
    (diagnostic,) = moved(reviewed, world.plan([*ALL, *resources]))
    assert diagnostic.summary == "The plan is stale"
    assert diagnostic.command == "mlops plan --stage dev"
    return diagnostic.detail


def test_each_way_to_be_stale_is_named(world: World) -> None:
    edit = fraud("2", {"instance_count": 1})
    reviewed = world.plan([*ALL, edit])
    assert "is declared otherwise in Git now" in stale(world, reviewed, fraud("2", {"instance_count": 3}))
    live = world.west.objects[FRAUD]
    world.west.objects[FRAUD] = replace(live, spec={**live.spec, "tags": {"x": "y"}})
    assert "was changed on its target since it was planned" in stale(world, reviewed, edit)
    del world.west.objects[FRAUD]
    assert "is not live any more" in stale(world, reviewed, edit)
    world.west.objects[FRAUD] = live
    world.apply([*ALL, edit])
    assert stale(world, reviewed, edit)


def test_an_unchanged_effect_on_a_changed_object_is_stale(world: World) -> None:
    """The same spec would be put, over something that nobody has reviewed."""
    edit = fraud("1", {"instance_count": 3})
    reviewed = world.plan([*ALL, edit])
    live = world.west.objects[FRAUD]
    world.west.objects[FRAUD] = replace(live, spec={**live.spec, "owner": "somebody"})
    now = world.plan([*ALL, edit])
    assert (now.digests.effect, now.digests.goal) == (reviewed.digests.effect, reviewed.digests.goal)
    assert "was changed on its target since it was planned" in stale(world, reviewed, edit)


def test_a_first_deployment_is_stale_once_it_is_there() -> None:
    """Plans against nothing are where others do not look."""
    world = World()
    reviewed = world.plan([*ALL, fraud("1")])
    world.apply([*ALL, fraud("1")])
    del world.journals["dev"].state.applied[FRAUD]  # type: ignore[attr-defined]
    assert "was not live when it was planned and is now" in stale(world, reviewed, fraud("1"))


def test_a_plan_of_another_stage_is_not_this_one(world: World) -> None:
    plan = world.plan([*ALL, fraud("2")])
    (diagnostic,) = moved(replace(plan, stage="prod"), plan)
    assert diagnostic.summary == "The plan is for another stage"


# ------------------------------------------------------------------------------------------------ order and selection


def bare(kind: Kind, name: str, *after: Address, action: Action = Action.CREATE) -> Change:
    address = Address(kind, name)
    desired = None if action is Action.DELETE else Resource(address, WEST, {}, frozenset(after))
    return Change(address, action, "", WEST, desired=desired)


def test_what_is_needed_comes_first_and_deletions_last_in_reverse() -> None:
    m, e, i = (Address(k, "x:1") for k in (Kind.MODEL, Kind.ENVIRONMENT, Kind.IMAGE))
    changes = [
        bare(Kind.ENDPOINT, "old@w", action=Action.DELETE),
        bare(Kind.MODEL, "old:1", action=Action.DELETE),
        bare(Kind.ENDPOINT, "b@w", m, i),
        bare(Kind.ENDPOINT, "a@w", m, i),
        bare(Kind.IMAGE, "x:1", m, e),
        bare(Kind.ENVIRONMENT, "x:1"),
        bare(Kind.MODEL, "x:1"),
    ]
    expected = ["model/x:1", "environment/x:1", "image/x:1", "endpoint/a@w", "endpoint/b@w"]
    expected += ["endpoint/old@w", "model/old:1"]
    for seed in range(20):
        random.Random(seed).shuffle(changes)
        assert [str(c.address) for c in ordered({c.address: c for c in changes})] == expected


def test_a_circle_is_refused_and_named() -> None:
    a, b = Address(Kind.ENDPOINT, "a@w"), Address(Kind.ENDPOINT, "b@w")
    circle = {c.address: c for c in (bare(Kind.ENDPOINT, "a@w", b), bare(Kind.ENDPOINT, "b@w", a))}
    with pytest.raises(InvalidRepository, match=r"circle.*endpoint/[ab]@w -> endpoint/[ab]@w"):
        ordered(circle)


def test_a_narrowed_plan_holds_an_object_and_what_it_needs() -> None:
    spam = endpoint("spam", {"blue": deployment("spam:1")})
    section = World().plan([V1, fraud("1"), model("spam", "1"), spam]).sections[1]
    assert [c.address for c in narrow(section, [FRAUD]).changes] == [FRAUD]
    assert narrow(section, [Address(Kind.ENDPOINT, "none@west")]).changes == ()
    joined = narrow(replace(section, changes=(*World().plan([V1]).sections[0].changes, *section.changes)), [FRAUD])
    assert [c.address for c in joined.changes] == [V1.address, FRAUD]


def test_a_deletion_is_kept_for_whoever_still_needs_the_object() -> None:
    world = World()
    world.apply([V1, V2, fraud("1")])
    plan = world.plan([V2, fraud("2")])
    assert actions(plan) == {"model/fraud:1": "delete", str(FRAUD): "update"}
    kept = keep_needed(plan.sections[0], (), [change_of(plan)])
    assert change_of(replace(plan, sections=(kept,)), V1.address).action is Action.NONE


def test_an_endpoint_that_moves_keeps_its_old_place_until_the_new_one_can_be_made() -> None:
    world = World()
    world.apply([V1, fraud("1")])
    moved_away = endpoint("fraud", {"blue": deployment("fraud:9")}, compute=EAST, waits=("model/fraud:9",))
    plan = world.plan([V1, moved_away])
    assert actions(plan) == {"endpoint/fraud@east": "wait"}
    assert change_of(plan).reason == "no longer declared, kept for endpoint/fraud@east"


def test_a_plan_as_json_says_nothing_that_differs_between_runs() -> None:
    value = plan_to_json(World().plan([V1, fraud("1")]))
    assert sorted(value) == ["digests", "format", "project", "revision", "sections", "stage"]


def test_what_a_dead_run_intended_is_adopted_where_nothing_is_left_to_do() -> None:
    made = {c.address: c for c in (bare(Kind.MODEL, f"{action.value}:1", action=action) for action in Action)}
    made = {a: replace(c, before="live") for a, c in made.items()}
    gone = Address(Kind.MODEL, "gone:1")
    intended: dict[Address, str | None] = {**dict.fromkeys(made, "wanted"), gone: None}
    assert left_over(made.values(), intended) == {Address(Kind.MODEL, "none:1"): "live", gone: None}
    assert left_over(made.values(), {}) == {}

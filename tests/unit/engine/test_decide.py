"""One decision an object, each with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.engine.journal import PROJECT
from tests.unit.engine.world import (
    FRAUD,
    STAGE,
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
    model_address,
    outcomes,
    stamp,
)

from mlops.plan import Action, Baseline, Section, plan_section
from mlops.plan.change import ABSENT, Change
from mlops.plan.wanted import Target, Wanted
from mlops.resource import (
    STAMP_FORMAT,
    Address,
    FieldEffect,
    Health,
    HealthState,
    Kind,
    Observed,
    Resource,
    Stamp,
)
from mlops.rollout import traffic_of

ONE = fraud("1", {"instance_count": 1})


@pytest.fixture
def world() -> World:
    """One endpoint that serves version 1, applied and recorded."""
    made = World()
    made.apply([V1, ONE])
    return made


def alter(world: World, address: Address = FRAUD, **fields: object) -> None:
    """Change a live object behind everybody's back."""
    far = world.west if address.kind is Kind.ENDPOINT else world.registry
    far.objects[address] = replace(far.objects[address], **fields)  # type: ignore[arg-type]


def alter_spec(world: World, **fields: object) -> None:
    alter(world, spec={**world.live()[FRAUD].spec, **fields})


def test_what_is_declared_and_not_live_is_created() -> None:
    plan = World().plan([V1, ONE])
    assert actions(plan) == {"model/fraud:1": "create", str(FRAUD): "create"}
    change = change_of(plan)
    assert (change.reason, change.basis, change.before, change.start) == ("declared and not live", ABSENT, None, None)
    assert change.goal == ONE.goal


def test_what_is_as_declared_stays(world: World) -> None:
    change = change_of(world.plan([V1, ONE]))
    assert (change.action, change.reason, change.steps) == (Action.NONE, "as declared", ())
    assert change.before == change.goal == ONE.goal


def test_an_edit_is_an_update_from_what_is_live(world: World) -> None:
    change = change_of(world.plan([V1, V2, fraud("2", {"instance_count": 1})]))
    assert (change.action, change.reason) == (Action.UPDATE, "edited in Git")
    assert [f.path for f in change.fields] == ["deployments.blue.model.version"]
    assert change.start == world.live()[FRAUD].spec
    assert change.start_goal == change.before == ONE.goal
    assert len(change.steps) == 2


def test_a_drift_is_put_right(world: World) -> None:
    alter_spec(world, traffic=dict.fromkeys(traffic_of(world.live()[FRAUD].spec), 0))
    change = change_of(world.plan([V1, ONE]))
    assert (change.action, change.reason) == (Action.UPDATE, "changed outside of Git")
    world.apply([V1, ONE])
    assert actions(world.plan([V1, ONE])) == {}


def test_an_edit_of_what_drifted_says_both(world: World) -> None:
    alter_spec(world, tags={"team": "other"})
    change = change_of(world.plan([V1, replace(ONE, spec={**ONE.spec, "tags": {"team": "ours"}})]))
    assert change.reason == "edited in Git, and changed outside of it"


def test_a_removed_field_is_taken_away(world: World) -> None:
    tagged = replace(ONE, spec={**ONE.spec, "tags": {"team": "ours"}})
    world.apply([V1, tagged])
    change = change_of(world.plan([V1, ONE]))
    assert (change.action, change.reason) == (Action.UPDATE, "removed in Git")
    world.apply([V1, ONE])
    assert "tags" not in world.live()[FRAUD].spec


def test_a_field_that_the_target_set_by_itself_is_left_alone(world: World) -> None:
    alter_spec(world, kind="Managed")
    assert change_of(world.plan([V1, ONE])).action is Action.NONE


def test_an_object_that_is_gone_is_created_again(world: World) -> None:
    del world.west.objects[FRAUD]
    change = change_of(world.plan([V1, ONE]))
    assert (change.action, change.reason) == (Action.CREATE, "gone from the target, will be created")


def test_what_is_gone_and_not_declared_any_more_is_cleared_away_until_that_is_recorded(world: World) -> None:
    """A deletion that was killed may have left parts that are not seen; the ledger must not say that it serves."""
    del world.west.objects[FRAUD]
    change = change_of(world.plan([V1]))
    assert (change.action, change.basis, change.driver) == (Action.DELETE, ABSENT, WEST)
    assert change.reason == "no longer declared, and not live: what may be left of it is cleared away"
    world.apply([V1])
    assert world.west.calls["delete"] == 1
    assert FRAUD not in world.state.applied
    assert FRAUD not in {c.address for c in world.plan([V1]).changes}


def test_what_is_not_declared_any_more_is_deleted_after_what_used_it(world: World) -> None:
    plan = world.plan([])
    assert [(str(c.address), c.action, c.reason) for c in plan.changes] == [
        ("model/fraud:1", Action.DELETE, "no longer declared"),
        (str(FRAUD), Action.DELETE, "no longer declared"),
    ]
    assert change_of(plan).uses == {model_address("fraud:1")}
    world.apply([])
    assert world.live() == {}
    assert [c for c in world.west.calls if c == "delete"] == ["delete"]


def test_a_field_that_cannot_change_replaces_the_object(world: World) -> None:
    zoned = replace(ONE, spec={**ONE.spec, "zone": "b"})
    change = change_of(world.plan([V1, zoned]))
    assert change.action is Action.REPLACE
    assert change.reason == "zone (edited in Git; an endpoint cannot be moved to another zone)"
    world.apply([V1, zoned])
    assert world.west.calls["delete"] == 1
    assert actions(world.plan([V1, zoned])) == {}


def test_a_version_whose_content_was_edited_is_blocked_and_its_users_wait(world: World) -> None:
    plan = world.plan([model("fraud", "1", "edited"), replace(ONE, spec={**ONE.spec, "tags": {}})])
    blocked = change_of(plan, model_address("fraud:1"))
    assert blocked.action is Action.BLOCKED
    assert "a version is immutable: declare a new one" in blocked.reason
    waits = change_of(plan)
    assert (waits.action, waits.reason) == (Action.WAIT, "not there yet")
    assert waits.waits == (f"model/fraud:1 ({blocked.reason})",)
    assert waits.steps == ()


def test_users_of_a_blocked_version_that_are_as_declared_stay(world: World) -> None:
    plan = world.plan([model("fraud", "1", "edited"), ONE])
    assert change_of(plan).action is Action.NONE


def test_a_protected_object_is_not_replaced(world: World) -> None:
    zoned = replace(ONE, spec={**ONE.spec, "zone": "b"}, protect=True)
    change = change_of(world.plan([V1, zoned]))
    assert (change.action, change.reason) == (Action.BLOCKED, "protected: it would be deleted and made again")


def test_an_object_may_say_that_it_is_not_protected_although_its_stage_is(world: World) -> None:
    world.apply([V1, replace(ONE, spec={**ONE.spec, "protect": False})])
    assert change_of(world.plan([], protect=True)).action is Action.DELETE


@pytest.mark.parametrize("protected", ["stage", "object"])
def test_a_protected_object_is_not_deleted(world: World, protected: str) -> None:
    if protected == "object":
        world.apply([V1, replace(ONE, spec={**ONE.spec, "protect": True}, protect=True)])
    plan = world.plan([], protect=protected == "stage")
    assert change_of(plan).action is Action.BLOCKED
    assert change_of(plan).reason == "protected: it is no longer declared and may not be deleted"
    assert change_of(plan, V1.address).action is Action.NONE
    assert change_of(plan, V1.address).reason == f"no longer declared, kept for {FRAUD}"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (None, "carries no stamp of ours"),
        (stamp(FRAUD, project="other"), "belongs to project other, stage dev"),
        (stamp(FRAUD, stage="prod"), "belongs to project shop, stage prod"),
        (replace(stamp(FRAUD), format=STAMP_FORMAT + 1), "a newer toolkit manages it"),
        (stamp(Address(Kind.ENDPOINT, "spam@west")), "carries the stamp of endpoint/spam@west"),
    ],
)
def test_what_is_not_ours_is_never_touched(world: World, found: Stamp | None, reason: str) -> None:
    alter(world, stamp=found)
    change = change_of(world.plan([V1, fraud("2")]))
    assert change.action is Action.BLOCKED
    assert reason in change.reason
    before = world.live()[FRAUD]
    assert outcomes(world.apply([V1, V2, fraud("2")])) == {"model/fraud:2": "done"}
    assert world.live()[FRAUD] == before


@pytest.mark.parametrize("found", [None, stamp(FRAUD, project="other"), stamp(FRAUD, stage="prod")])
def test_what_is_neither_declared_nor_ours_is_not_seen(world: World, found: Stamp | None) -> None:
    alter(world, stamp=found)
    plan = world.plan([V1])
    assert FRAUD not in {c.address for c in plan.changes}
    assert plan.sections[1].live == 0


def test_what_a_newer_toolkit_manages_is_not_deleted(world: World) -> None:
    alter(world, stamp=replace(stamp(FRAUD), format=STAMP_FORMAT + 1))
    assert change_of(world.plan([V1])).action is Action.BLOCKED


def test_stamped_objects_without_a_ledger_are_refused(world: World) -> None:
    """A clone without the ledger branch must not think that nothing was ever applied."""
    world.journals[STAGE].records.clear()
    for resources in ([V1, fraud("2")], [V1]):
        change = change_of(world.plan(resources))
        assert change.action is Action.BLOCKED
        assert "fetch the ledger branch" in change.reason


def test_an_endpoint_waits_for_a_version_that_git_does_not_declare(world: World) -> None:
    early = endpoint("fraud", {"blue": deployment("fraud:5")}, waits=("model/fraud:5",))
    plan = world.plan([V1, early])
    assert actions(plan) == {str(FRAUD): "wait"}
    assert (change_of(plan).reason, change_of(plan).waits) == ("not there yet", ("model/fraud:5",))
    assert world.apply([V1, early]).results == {}


def test_a_shared_object_in_use_is_kept_and_its_users_are_named(world: World) -> None:
    section = section_of(world, [], in_use={V1.address: ("endpoint/fraud@east in prod",)}, stage="shared")
    (change,) = section.changes
    assert change.action is Action.NONE
    assert change.reason == "no longer declared, kept while used by endpoint/fraud@east in prod"


def test_the_same_content_under_another_goal_is_only_stamped_anew(world: World) -> None:
    """A field goes from the declaration and was never live: nothing differs but the goal."""
    section = section_of(world, [replace(ONE, spec={**ONE.spec, "tags": {"a": "b"}})])
    assert section.changes[0].action is Action.UPDATE
    alter_spec(world, tags={"a": "b"})
    (change,) = section_of(world, [replace(ONE, spec={**ONE.spec, "tags": {"a": "b"}})]).changes
    assert (change.action, change.reason, len(change.steps)) == (
        Action.UPDATE,
        "same content, stamped for another goal",
        1,
    )


def test_another_version_beside_the_wanted_one_is_not_as_declared(world: World) -> None:
    """Nothing differs in the wanted fields, and still something is live that nobody wants."""
    deployments = world.live()[FRAUD].spec["deployments"]
    assert isinstance(deployments, dict)
    alter_spec(world, deployments={**deployments, "blue-00000000": {**deployment("fraud:0"), "deployment": "blue"}})
    change = change_of(world.plan([V1, ONE]))
    assert (change.action, change.reason) == (
        Action.UPDATE,
        "another version is live beside the wanted one",
    )
    world.apply([V1, ONE])
    assert world.live()[FRAUD].spec["deployments"] == deployments


def test_health_is_no_reason_to_change_anything(world: World) -> None:
    before = change_of(world.plan([V1, ONE]))
    world.west.health[FRAUD] = Health(HealthState.FAILED, "crashed")
    after = change_of(world.plan([V1, ONE]))
    assert (after.action, after.basis) == (Action.NONE, before.basis)
    assert after.health == Health(HealthState.FAILED, "crashed")


SCALED = fraud("1", {"instance_count": 1, "scale_settings": {"type": "target_utilization"}})


def grow(world: World, count: int) -> None:
    spec = world.live()[FRAUD].spec
    deployments = spec["deployments"]
    assert isinstance(deployments, dict)
    alter_spec(world, deployments={name: {**value, "instance_count": count} for name, value in deployments.items()})


def test_what_an_autoscaler_did_is_shown_and_left_alone() -> None:
    world = World()
    world.apply([V1, SCALED])
    before = change_of(world.plan([V1, SCALED]))
    grow(world, 9)
    after = change_of(world.plan([V1, SCALED]))
    assert (after.action, after.reason, after.basis) == (Action.NONE, "as declared", before.basis)
    assert [(f.path, f.effect, f.live) for f in after.fields] == [
        ("deployments.blue.instance_count", FieldEffect.IGNORED, 9)
    ]


def test_an_update_keeps_what_the_autoscaler_set_and_its_digests() -> None:
    """What was approved stays approved while replicas come and go."""
    world = World()
    world.apply([V1, SCALED])
    tagged = replace(SCALED, spec={**SCALED.spec, "tags": {"a": "b"}})
    grow(world, 4)
    first = world.plan([V1, tagged])
    grow(world, 9)
    second = world.plan([V1, tagged])
    assert first.digests == second.digests
    world.execute(first)
    deployments = world.live()[FRAUD].spec["deployments"]
    assert isinstance(deployments, dict)
    assert [d["instance_count"] for d in deployments.values()] == [9]
    assert change_of(world.plan([V1, tagged])).action is Action.NONE


def section_of(
    world: World,
    resources: list[Resource],
    *,
    in_use: dict[Address, tuple[str, ...]] | None = None,
    stage: str = STAGE,
    baseline: Baseline | None = None,
) -> Section:
    driver = "registry" if stage == "shared" else WEST
    observed = tuple(world.drivers[stage][driver].observe())
    wanted = Wanted(
        PROJECT,
        stage,
        tuple(resources),
        observed,
        baseline or world.journals[stage].baseline(),
        {driver: Target(world.drivers[stage][driver].rules, world.drivers[stage][driver].traffic)},
        in_use=in_use or {},
    )
    return plan_section(wanted, {o.address: driver for o in observed})


def live_section(count: int) -> Section:
    """A section with so many live objects of ours, and as many of others'."""
    ours = [Observed(Address(Kind.MODEL, f"m:{n}"), {}, stamp(Address(Kind.MODEL, f"m:{n}"))) for n in range(count)]
    theirs = [replace(o, address=Address(Kind.MODEL, f"n:{i}"), stamp=None) for i, o in enumerate(ours)]
    others = [Observed(a, {}, stamp(a, project="other")) for a in (Address(Kind.MODEL, f"o:{n}") for n in range(count))]
    wanted = Wanted(PROJECT, STAGE, (), (*ours, *theirs, *others), Baseline(exists=True), {})
    return plan_section(wanted, {})


@pytest.mark.parametrize(("live", "bound"), [(0, 1), (1, 1), (9, 1), (10, 2), (14, 2), (24, 4), (25, 5), (1000, 5)])
def test_the_fuse_is_a_fifth_of_the_stage_and_at_most_five(live: int, bound: int) -> None:
    section = live_section(live)
    assert section.live == live
    assert section.fuse == bound
    assert section.summary.destructive == live
    assert section.summary.effective == live


def test_only_deletes_and_replaces_count_as_destructive() -> None:
    change = Change(FRAUD, Action.NONE, "", WEST)
    changes = tuple(replace(change, action=action) for action in Action)
    summary = Section(STAGE, changes).summary
    assert (summary.effective, summary.destructive) == (4, 2)


def test_what_needs_a_stuck_object_of_its_own_section_waits_with_it_and_so_on() -> None:
    """An image waits for its model, an endpoint for its image; what is as declared stays."""
    world = World()
    base = Resource(Address(Kind.MODEL, "m:1"), WEST, {}, waits=("blob",))
    image = Resource(Address(Kind.IMAGE, "i:1"), WEST, {}, frozenset({base.address}))
    served = Resource(FRAUD, WEST, {"deployments": {}}, frozenset({image.address}))
    other = Resource(Address(Kind.ENDPOINT, "other@west"), WEST, {"deployments": {}})
    changes = section_of(world, [served, image, base, other]).changes
    assert {str(c.address): (c.action, c.waits) for c in changes} == {
        "model/m:1": (Action.WAIT, ("blob",)),
        "image/i:1": (Action.WAIT, ("model/m:1",)),
        str(FRAUD): (Action.WAIT, ("image/i:1",)),
        "endpoint/other@west": (Action.CREATE, ()),
    }

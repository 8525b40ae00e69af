"""A rollout as data: live names, the sequence of specs, and where a live endpoint stands in it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.properties.claims import assert_traffic_sound
from tests.properties.estates import Estate, edited_estates
from tests.unit.engine.world import CANARY, deployment, endpoint, fraud, versions

from mlops.drivers.memory import MemoryDriver
from mlops.resource import JSON, FieldEffect, FieldRule, Rollout, Spec, TrafficSupport
from mlops.rollout import ENDPOINT_WIDE, Step, declared_name, find_step, from_live, make_steps, to_live, traffic_of

RULES = MemoryDriver.rules
WEIGHTED = TrafficSupport.WEIGHTED
AT_ONCE = Rollout()
BLUE_GREEN = Rollout("blue_green", soak=30.0)


def live(spec: Spec) -> Spec:
    return to_live(spec, RULES)


def steps(before: Spec, after: Spec, rollout: Rollout, support: TrafficSupport = WEIGHTED) -> tuple[Step, ...]:
    return make_steps(live(before), live(after), rollout, support)


def shares(made: tuple[Step, ...]) -> list[dict[str, int]]:
    return [versions(step.spec) for step in made]


def two(blue: str, green: str, traffic: Mapping[str, int], **fields: JSON) -> Spec:
    return endpoint(
        "fraud", {"blue": deployment(blue), "green": deployment(green)}, traffic=traffic, fields=fields
    ).spec


@given(edited_estates())
def test_the_live_form_reads_back_as_declared(pair: tuple[Estate, Estate]) -> None:
    for resource in (r for estate in pair for r in estate.resources() if "deployments" in r.spec):
        assert from_live(live(resource.spec)) == resource.spec


def test_a_live_name_depends_on_content_and_on_nothing_else() -> None:
    content: dict[str, JSON] = {"environment_variables": {"A": "1", "B": "2"}}
    turned: dict[str, JSON] = {"environment_variables": {"B": "2", "A": "1"}}
    (first,) = traffic_of(live(fraud("1", {"instance_count": 1, **content}).spec))
    (same,) = traffic_of(live(fraud("1", {**turned, "instance_count": 7}).spec))
    (other,) = traffic_of(live(fraud("1", {"environment_variables": {"A": "1", "B": "3"}}).spec))
    assert first == same
    assert first != other
    assert first.startswith("blue-")


def test_a_live_name_never_changes_between_releases() -> None:
    """Objects that are live carry it: another recipe would start every deployment anew."""
    assert list(traffic_of(live(fraud("4", {"instance_count": 2}).spec))) == ["blue-7ed0ad4c"]


def test_the_same_content_under_two_names_is_two_deployments() -> None:
    names = traffic_of(live(two("fraud:1", "fraud:1", {"blue": 50, "green": 50})))
    assert len(names) == 2
    assert {declared_name(live(two("fraud:1", "fraud:1", {"blue": 50, "green": 50})), n) for n in names} == {
        "blue",
        "green",
    }


OPEN: dict[str, JSON] = {"limits": {"max_connections": 9}, "tls": {"key": "/k"}, "tags": {"a": "1"}}
GUARDED: dict[str, JSON] = {"auth_mode": "key", "limits": {"max_connections": 5}, "tags": {"a": "2"}}


@pytest.mark.parametrize("rollout", [CANARY, BLUE_GREEN, AT_ONCE], ids=lambda rollout: rollout.strategy)
def test_what_protects_an_endpoint_waits_for_no_canary(rollout: Rollout) -> None:
    """What is the endpoint's holds from the first step on, and is gone from it on; all else comes with the last."""
    before = endpoint("fraud", {"blue": deployment("fraud:1")}, fields=OPEN)
    after = endpoint("fraud", {"blue": deployment("fraud:2")}, fields=GUARDED)
    made = steps(before.spec, after.spec, rollout)
    assert len(made) > 1
    for step in made:
        assert {name: step.spec.get(name) for name in ENDPOINT_WIDE} == {
            **dict.fromkeys(ENDPOINT_WIDE),
            "auth_mode": "key",
            "limits": {"max_connections": 5},
        }
    assert [step.spec["tags"] for step in made] == [{"a": "1"}] * (len(made) - 1) + [{"a": "2"}]
    assert made[0].title == "start beside the old version, without traffic; change auth_mode, limits, tls for both"


def test_a_default_that_is_written_changes_nothing_for_both() -> None:
    rules = (FieldRule("auth_mode", FieldEffect.IN_PLACE, "", default="none"),)
    before = endpoint("fraud", {"blue": deployment("fraud:1")}, fields={"auth_mode": "none"})
    made = make_steps(live(before.spec), live(fraud("2").spec), CANARY, WEIGHTED, rules)
    assert made[0].title == "start beside the old version, without traffic"


def test_of_two_versions_under_one_name_the_one_with_most_traffic_is_the_declared_one() -> None:
    ten, fifty, hundred = steps(fraud("1").spec, fraud("2").spec, CANARY)[1:4]
    for step, version in ((ten, "1"), (hundred, "2")):
        read = from_live(step.spec)
        assert versions(read) == {version: 100}
        assert read["traffic"] == {"blue": 100}
    assert versions(fifty.spec) == {"1": 50, "2": 50}


def test_canary() -> None:
    made = steps(fraud("1").spec, fraud("2").spec, CANARY)
    assert shares(made) == [{"1": 100, "2": 0}, {"1": 90, "2": 10}, {"1": 50, "2": 50}, {"1": 0, "2": 100}, {"2": 100}]
    assert [s.weight for s in made] == [0, 10, 50, 100, None]
    assert made[-1].spec == live(fraud("2").spec)
    new = next(iter(traffic_of(live(fraud("2").spec))))
    assert {s.check for s in made} == {(new,)}


def test_blue_green() -> None:
    made = steps(fraud("1").spec, fraud("2").spec, BLUE_GREEN)
    assert shares(made) == [{"1": 100, "2": 0}, {"1": 0, "2": 100}, {"2": 100}]
    assert [s.soak for s in made] == [0.0, 30.0, 0.0]


def test_all_at_once_starts_the_new_version_beside_the_old_one_too() -> None:
    assert shares(steps(fraud("1").spec, fraud("2").spec, AT_ONCE)) == [{"1": 100, "2": 0}, {"2": 100}]


@pytest.mark.parametrize("support", [TrafficSupport.FLEET, TrafficSupport.NONE])
def test_where_traffic_cannot_be_weighted_there_is_one_step(support: TrafficSupport) -> None:
    (step,) = steps(fraud("1").spec, fraud("2").spec, AT_ONCE, support)
    assert step.spec == live(fraud("2").spec)
    assert step.check == tuple(traffic_of(step.spec))


def test_the_first_deployment_is_one_step_that_is_checked() -> None:
    target = live(fraud("1").spec)
    assert make_steps(None, target, CANARY, WEIGHTED) == (Step("create", target, check=tuple(traffic_of(target))),)


@pytest.mark.parametrize(
    "after",
    [
        fraud("1", {"instance_count": 3}).spec,
        {**fraud("1", {"instance_count": 1}).spec, "tags": {"a": "b"}},
        {**fraud("1", {"instance_count": 1}).spec, "traffic": {"blue": 0}},
    ],
)
def test_what_keeps_its_content_changes_in_place(after: Spec) -> None:
    (step,) = steps(fraud("1", {"instance_count": 1}).spec, after, CANARY)
    assert step.spec == live(after)


def test_a_change_in_place_is_checked_on_what_carries_traffic() -> None:
    before = two("fraud:1", "fraud:2", {"blue": 100, "green": 0})
    (step,) = steps(before, {**before, "tags": {"a": "b"}}, CANARY)
    assert [declared_name(step.spec, name) for name in step.check] == ["blue"]


def test_an_added_deployment_starts_without_traffic_and_a_removed_one_goes_last() -> None:
    made = steps(two("fraud:1", "fraud:2", {"blue": 60, "green": 40}), fraud("1").spec, CANARY)
    assert [s.spec for s in made] == [live(fraud("1").spec)]
    made = steps(fraud("1").spec, two("fraud:1", "fraud:2", {"blue": 60, "green": 40}), CANARY)
    assert shares(made) == [{"1": 100, "2": 0}, {"1": 60, "2": 40}]


def test_each_changed_deployment_shifts_its_own_share() -> None:
    before = two("fraud:1", "spam:1", {"blue": 70, "green": 30})
    after = two("fraud:2", "spam:1", {"blue": 70, "green": 30})
    made = steps(before, after, CANARY)
    weights = [traffic_of(step.spec) for step in made]
    old, new = (next(n for n in traffic_of(live(spec)) if n.startswith("blue")) for spec in (before, after))
    assert [w.get(new) for w in weights] == [0, 7, 35, 70, 70]
    assert [w.get(old) for w in weights] == [70, 63, 35, 0, None]


def test_a_version_without_traffic_is_swapped_without_a_shift() -> None:
    before = two("fraud:1", "spam:1", {"blue": 100, "green": 0})
    after = two("fraud:1", "spam:2", {"blue": 100, "green": 0})
    assert [s.weight for s in steps(before, after, CANARY)] == [0, None]


@pytest.mark.parametrize(
    ("total", "percent", "share"),
    [(100, 1, 1), (10, 1, 1), (2, 99, 1), (1, 50, 0), (1, 100, 1), (0, 50, 0), (3, 50, 2), (30, 99, 29), (99, 1, 1)],
)
def test_a_share_of_a_small_weight_is_never_nothing_and_never_all(total: int, percent: int, share: int) -> None:
    before = two("fraud:1", "spam:1", {"blue": total, "green": 100 - total})
    after = two("fraud:2", "spam:1", {"blue": total, "green": 100 - total})
    made = steps(before, after, Rollout("canary", (percent,)))
    if total == 0:
        assert len(made) == 2
        return
    assert versions(made[1].spec)["2"] == share


def test_an_endpoint_without_written_traffic_serves_during_the_whole_shift() -> None:
    """With one deployment and no traffic, that deployment has all of it: also while another starts beside it."""
    before, after = ({k: v for k, v in fraud(version).spec.items() if k != "traffic"} for version in ("1", "2"))
    made = steps(before, after, CANARY)
    assert shares(made)[:4] == [{"1": 100, "2": 0}, {"1": 90, "2": 10}, {"1": 50, "2": 50}, {"1": 0, "2": 100}]
    assert "traffic" not in made[-1].spec


@pytest.mark.parametrize("weights", [{"1": 90, "2": 10}, {"1": 10, "2": 90}, {"1": 50, "2": 50}])
def test_a_base_with_two_versions_keeps_its_traffic_whole(weights: Mapping[str, int]) -> None:
    """A rollout that a ledger has lost is taken up from what is live, and no request falls between two weights."""
    half = steps(fraud("1").spec, fraud("2").spec, Rollout("canary", (weights["2"],)))[1].spec
    assert versions(half) == weights
    third = make_steps(half, live(fraud("3").spec), Rollout("canary", (10,)), WEIGHTED)[1]
    assert versions(third.spec)["3"] == max(weights.values()) // 10  # the version with most traffic gives of its own
    for version in ("1", "2", "3"):
        target = live(fraud(version).spec)
        made = make_steps(half, target, CANARY, WEIGHTED)
        for step in made:
            assert_traffic_sound(step.spec)
        assert made[-1].spec == target


@given(edited_estates(complete=True), st.sampled_from((AT_ONCE, BLUE_GREEN, CANARY, Rollout("canary", (1, 2, 99)))))
def test_every_step_is_sound_and_keeps_what_serves_until_the_end(pair: tuple[Estate, Estate], rollout: Rollout) -> None:
    before, after = ({r.address: r.spec for r in e.resources() if "deployments" in r.spec} for e in pair)
    for address in before.keys() & after.keys():
        made = steps(before[address], after[address], rollout)
        base, target = live(before[address]), live(after[address])
        assert made[-1].spec == target
        for step in made:
            assert_traffic_sound(step.spec)
        for step in made[:-1]:
            assert isinstance(step.spec["deployments"], Mapping)
            assert isinstance(base["deployments"], Mapping)
            assert base["deployments"].items() <= step.spec["deployments"].items()
            assert {k: v for k, v in step.spec.items() if k not in ("deployments", "traffic")} == {
                k: v for k, v in base.items() if k not in ("deployments", "traffic")
            }


def test_a_live_endpoint_is_found_at_its_step_whatever_its_autoscaler_did() -> None:
    scaling: dict[str, JSON] = {"scale_settings": {"type": "target_utilization"}, "instance_count": 1}
    made = steps(fraud("1", scaling).spec, fraud("2", scaling).spec, CANARY)
    for index, step in enumerate(made):
        deployments = step.spec["deployments"]
        assert isinstance(deployments, Mapping)
        grown = {n: {**d, "instance_count": 9} for n, d in deployments.items() if isinstance(d, Mapping)}
        assert find_step(made, {**step.spec, "deployments": grown}, RULES) == index
        assert find_step(made, {**step.spec, "tags": {"x": "y"}}, RULES) is None

"""The three-sided comparison: what is declared, what was applied last, and what is live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import pytest

from mlops.diff import BOTH, DRIFTED, EDITED, REMOVED, UNKNOWN, diff, dotted, severity
from mlops.resource import JSON, UNSET, FieldChange, FieldEffect, FieldRule, Spec, Unset
from mlops.rules import carry_over, owned, rule_for, same

Side: TypeAlias = "JSON | Unset"
IN_PLACE = FieldEffect.IN_PLACE
AUTOSCALED = (
    FieldRule("deployments", FieldEffect.RESTART, "beside the old"),
    FieldRule("deployments.*.instance_count", FieldEffect.IN_PLACE, "while serving"),
    FieldRule(
        "deployments.*.instance_count",
        FieldEffect.IGNORED,
        "the autoscaler owns it",
        when=("deployments.*.scale_settings.type", "target_utilization"),
    ),
)


def changes(declared: Spec, applied: Spec | None, live: Spec, *rules: FieldRule) -> list[FieldChange]:
    return list(diff(declared, applied, live, rules))


def spec(**fields: Side) -> dict[str, JSON]:
    return {name: value for name, value in fields.items() if not isinstance(value, Unset)}


@pytest.mark.parametrize(
    ("declared", "applied", "live", "reason"),
    [
        (1, 1, 1, None),
        (2, 1, 1, EDITED),
        (1, 1, 2, DRIFTED),
        (2, 1, 3, BOTH),
        (2, 1, 2, None),
        (1, 2, 1, None),
        (1, UNSET, UNSET, EDITED),
        (1, 1, UNSET, DRIFTED),
        (1, 2, UNSET, BOTH),
        (1, UNSET, 2, BOTH),
        (UNSET, 1, 1, REMOVED),
        (UNSET, 1, 2, REMOVED),
        (UNSET, 1, UNSET, None),
        (UNSET, UNSET, 1, None),
        (None, UNSET, UNSET, EDITED),
        (None, None, None, None),
        (None, 1, 1, EDITED),
    ],
)
def test_every_combination_of_three_sides_has_its_reason(
    declared: Side, applied: Side, live: Side, reason: str | None
) -> None:
    found = changes(spec(a=declared), spec(a=applied), spec(a=live))
    assert [c.reason for c in found] == ([] if reason is None else [reason])
    assert found == ([] if reason is None else [FieldChange("a", declared, applied, live, IN_PLACE, str(reason))])


def test_without_a_last_applied_spec_a_difference_is_not_called_an_edit_or_a_drift() -> None:
    assert [c.reason for c in changes({"a": 1}, None, {"a": 2})] == [UNKNOWN]
    assert changes({}, None, {"a": 2}) == []


def test_fields_that_nobody_wants_are_the_targets_own() -> None:
    assert changes({"a": {"b": 1}}, {"a": {"b": 1}}, {"a": {"b": 1, "default": 7}, "more": []}) == []


def test_a_removed_group_is_one_change_and_a_removed_member_another() -> None:
    applied: Spec = {"tags": {"x": "1", "y": "2"}, "env": {"A": "1"}}
    found = changes({"tags": {"x": "1"}}, applied, applied)
    assert [(c.path, c.declared, c.live) for c in found] == [
        ("tags.y", UNSET, "2"),
        ("env", UNSET, {"A": "1"}),
    ]


def test_changes_come_in_the_order_in_which_they_are_declared() -> None:
    found = changes({"z": 2, "a": {"y": 2, "b": 2}}, {}, {"a": {"b": 1, "y": 1}, "z": 1})
    assert [c.path for c in found] == ["z", "a.y", "a.b"]


@pytest.mark.parametrize(
    ("declared", "live"),
    [([1, 2], [2, 1]), ([1], [1, 2]), ([], [1]), ([{"a": 1}], [{"a": 2}]), ([1], 1), ("ab", ["a", "b"])],
)
def test_lists_are_compared_whole(declared: JSON, live: JSON) -> None:
    assert [(c.path, c.declared, c.live) for c in changes({"l": declared}, {"l": live}, {"l": live})] == [
        ("l", declared, live)
    ]


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (True, 1, False),
        (False, 0, False),
        (1, 1.0, True),
        ("1", 1, False),
        (None, False, False),
        (None, UNSET, False),
        (UNSET, UNSET, True),
        ("(unset)", UNSET, False),
        ([True], [1], False),
        ({"a": True}, {"a": 1}, False),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ("", [], False),
        ({}, [], False),
    ],
)
def test_equality_is_that_of_json(left: Side, right: Side, *, equal: bool) -> None:
    assert same(left, right) is equal
    assert same(right, left) is equal


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("a", "b"), "a.b"),
        (("tags", "app.kubernetes.io/name"), 'tags["app.kubernetes.io/name"]'),
        (("app.x", "y"), '["app.x"].y'),
        (("a", ""), 'a[""]'),
        (("a[0]",), '["a[0]"]'),
        ((), ""),
    ],
)
def test_names_that_hold_dots_are_bracketed(path: Sequence[str], text: str) -> None:
    assert dotted(path) == text


def test_the_rule_of_a_field_gives_effect_and_reason_also_below_its_path() -> None:
    rules = (FieldRule("a", FieldEffect.REPLACE, "cannot move"), FieldRule("a.c", FieldEffect.RESTART, "new process"))
    found = changes({"a": {"b": 2, "c": 2}}, {"a": {"b": 1, "c": 1}}, {"a": {"b": 1, "c": 1}}, *rules)
    assert [(c.path, c.effect, c.reason) for c in found] == [
        ("a.b", FieldEffect.REPLACE, f"{EDITED}; cannot move"),
        ("a.c", FieldEffect.RESTART, f"{EDITED}; new process"),
    ]
    assert severity(found) is FieldEffect.REPLACE
    assert severity([]) is FieldEffect.IGNORED


def test_a_whole_group_is_as_severe_as_the_worst_of_what_is_in_it() -> None:
    """A group that appears or goes is one line to a reader, but its fields keep their rules."""
    rules = (FieldRule("size", FieldEffect.IN_PLACE, "resized"), FieldRule("size.disk", FieldEffect.REPLACE, "fixed"))
    group: Spec = {"size": {"cpu": 1, "disk": 2}}
    for declared, applied, live in ((group, {}, {}), ({}, group, group)):
        found = changes(declared, applied, live, *rules)
        assert [(c.path, c.effect) for c in found] == [("size", FieldEffect.REPLACE)]
        assert found[0].reason.endswith("fixed")
    assert [c.effect for c in changes({"size": {"cpu": 1}}, {}, {}, *rules)] == [FieldEffect.IN_PLACE]


def test_the_longest_rule_wins_and_of_equals_the_last() -> None:
    rules = [
        FieldRule("a.b.c", FieldEffect.RESTART, "1"),
        FieldRule("a", FieldEffect.REPLACE, "2"),
        FieldRule("a.*.c", FieldEffect.IN_PLACE, "3"),
    ]
    assert rule_for(("a", "b", "c"), {}, rules) == rules[2]
    assert rule_for(("a", "b", "d"), {}, rules) == rules[1]
    assert rule_for(("b",), {}, rules) is None


def test_a_star_stands_for_one_name_whatever_it_holds() -> None:
    rules = [FieldRule("tags.*", FieldEffect.IGNORED, "")]
    assert rule_for(("tags", "a.b"), {}, rules) == rules[0]
    assert rule_for(("tags",), {}, rules) is None


def scaled(count: int, kind: str = "target_utilization") -> dict[str, JSON]:
    return {"instance_count": count, "scale_settings": {"type": kind}}


def test_a_condition_is_looked_up_under_the_name_that_the_star_stood_for() -> None:
    """An autoscaler owns the count of the deployment that it scales, and of no other."""
    declared: Spec = {"deployments": {"blue": scaled(1), "green": scaled(1, "default")}}
    live: Spec = {"deployments": {"blue": scaled(5), "green": scaled(5, "default")}}
    found = changes(declared, declared, live, *AUTOSCALED)
    assert [(c.path, c.effect) for c in found] == [
        ("deployments.blue.instance_count", FieldEffect.IGNORED),
        ("deployments.green.instance_count", FieldEffect.IN_PLACE),
    ]
    assert found[0].reason.endswith("the autoscaler owns it")


def test_owned_leaves_out_what_belongs_to_somebody_else() -> None:
    live: Spec = {"deployments": {"blue": scaled(5), "green": {"instance_count": 5}}, "tags": {}}
    assert owned(live, live, AUTOSCALED) == {
        "deployments": {
            "blue": {"scale_settings": {"type": "target_utilization"}},
            "green": {"instance_count": 5},
        },
        "tags": {},
    }
    assert owned(live, live, AUTOSCALED[:2]) == live


def test_what_belongs_to_somebody_else_keeps_its_live_value() -> None:
    live: Spec = {"deployments": {"blue": scaled(5), "green": {"instance_count": 5}}}
    wanted: Spec = {"deployments": {"blue": scaled(1), "green": {"instance_count": 2}, "red": scaled(3)}}
    assert carry_over(wanted, live, AUTOSCALED) == {
        "deployments": {"blue": scaled(5), "green": {"instance_count": 2}, "red": scaled(3)}
    }


SAID = (
    FieldRule("mode", IN_PLACE, "asked for", default="none"),
    FieldRule("limits", IN_PLACE, "kept", default={}),
    FieldRule("limits.size", IN_PLACE, "kept", default=10),
    FieldRule("copies", IN_PLACE, "", default={}),
    FieldRule("copies.*", IN_PLACE, "", default=0),
)


@pytest.mark.parametrize(
    ("declared", "applied", "live", "expected"),
    [
        ({}, {}, {"mode": "key"}, [("mode", UNSET, "key", DRIFTED)]),
        ({}, {"mode": "none"}, {"mode": "key"}, [("mode", UNSET, "key", DRIFTED)]),
        ({}, {"mode": "key"}, {"mode": "key"}, [("mode", UNSET, "key", REMOVED)]),
        ({}, {"mode": "key"}, {"mode": "token"}, [("mode", UNSET, "token", REMOVED)]),
        ({"mode": "none"}, {}, {"mode": "key"}, [("mode", "none", "key", DRIFTED)]),
        ({"mode": "key"}, {}, {}, [("mode", "key", UNSET, EDITED)]),
        ({"mode": "key"}, {"mode": "key"}, {}, [("mode", "key", UNSET, DRIFTED)]),
        ({}, None, {"mode": "key"}, [("mode", UNSET, "key", UNKNOWN)]),
        ({"mode": "none"}, {}, {}, []),
        ({}, {"mode": "none"}, {"mode": "none"}, []),
        ({}, {}, {"limits": {"size": 5}}, [("limits", UNSET, {"size": 5}, DRIFTED)]),
        ({"limits": {"t": 1}}, {"limits": {"t": 1}}, {"limits": {"t": 1, "x": 2}}, [("limits.x", UNSET, 2, DRIFTED)]),
        ({"limits": {"size": 10}}, {}, {}, []),
        ({}, {"limits": {"size": 10}}, {"limits": {"size": 10}}, []),
        ({}, {"limits": {"size": 9}}, {"limits": {"size": 9}}, [("limits", UNSET, {"size": 9}, REMOVED)]),
        ({"limits": {}}, {"limits": {"size": 9}}, {"limits": {"size": 9}}, [("limits.size", UNSET, 9, REMOVED)]),
        ({"copies": {"green": 0}}, {}, {}, []),
        ({"copies": {"green": 0}}, {}, {"copies": {"blue": 0}}, []),
        ({"copies": {"green": 5}}, {}, {}, [("copies", {"green": 5}, UNSET, EDITED)]),
    ],
)  # fmt: skip
def test_where_the_default_is_known_it_counts_as_said_and_all_else_is_drift(
    declared: Spec, applied: Spec | None, live: Spec, expected: list[tuple[str, Side, Side, str]]
) -> None:
    found = changes(declared, applied, live, *SAID)
    assert [(c.path, c.declared, c.live, c.reason.partition(";")[0]) for c in found] == expected


def test_what_the_target_has_of_its_own_beside_fields_with_defaults_is_left_alone() -> None:
    assert changes({"a": {"b": 1}}, {}, {"a": {"b": 1, "c": 2}, "d": 3}, *SAID) == []

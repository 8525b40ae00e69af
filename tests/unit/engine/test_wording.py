"""A default that is written out is no change, wherever it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.unit.engine.world import FRAUD, V1, V2, WEST, World, change_of, deployment, endpoint, outcomes

from mlops.diff import DRIFTED
from mlops.drivers.memory import MemoryDriver
from mlops.plan import Action
from mlops.resource import JSON, Checks, FieldEffect, FieldRule, Resource, Rollout

IN_PLACE = FieldEffect.IN_PLACE
SOAKING = Rollout("canary", (10,), 3600.0, Checks(sample_request=False))
WRITTEN: dict[str, JSON] = {"auth_mode": "none", "limits": {"size": 10}}


class Telling(MemoryDriver):
    """A compute that says what it does where nothing is declared."""

    rules = (
        *MemoryDriver.rules,
        FieldRule("auth_mode", IN_PLACE, "", default="none"),
        FieldRule("limits", IN_PLACE, "", default={}),
        FieldRule("limits.size", IN_PLACE, "", default=10),
        FieldRule("deployments.*.instance_count", IN_PLACE, "", default=1),
    )


def fraud(version: str = "1", fields: Mapping[str, JSON] | None = None, *, count: JSON = None) -> Resource:
    counted = {} if count is None else {"instance_count": count}
    return endpoint("fraud", {"blue": deployment(f"fraud:{version}", **counted)}, fields=fields, rollout=SOAKING)


def world(resource: Resource) -> World:
    made = World(rules={WEST: Telling})
    made.apply([V1, V2, fraud()])
    made.apply([V1, V2, resource])
    return made


@pytest.mark.parametrize(
    ("before", "after"), [(fraud(), fraud("1", WRITTEN, count=1)), (fraud("1", WRITTEN, count=1), fraud())]
)
def test_a_default_that_is_written_or_removed_is_no_change(before: Resource, after: Resource) -> None:
    made = World(rules={WEST: Telling})
    made.apply([V1, before])
    change = change_of(made.plan([V1, after]))
    assert before.goal != after.goal
    assert (change.action, change.reason, change.fields) == (Action.NONE, "as declared", ())
    assert made.apply([V1, after]).results == {}


@pytest.mark.parametrize("fields", [{"auth_mode": "key"}, {"limits": {"size": 11}}, {"tags": {}}])
def test_what_is_no_default_is_a_change(fields: dict[str, JSON]) -> None:
    change = change_of(world(fraud()).plan([V1, V2, fraud("1", fields)]))
    assert change.action is Action.UPDATE
    assert [f.path for f in change.fields] == list(fields)


def test_what_somebody_else_changed_is_put_back_whatever_the_words() -> None:
    made = world(fraud())
    live = made.live()[FRAUD]
    made.west.objects[FRAUD] = replace(live, spec={**live.spec, "auth_mode": "key"})
    change = change_of(made.plan([V1, V2, fraud("1", WRITTEN)]))
    assert (change.action, [f.path for f in change.fields], change.fields[0].reason) == (
        Action.UPDATE,
        ["auth_mode"],
        DRIFTED,
    )
    made.apply([V1, V2, fraud("1", WRITTEN)])
    assert change_of(made.plan([V1, V2, fraud("1", WRITTEN)])).action is Action.NONE


def test_a_rollout_goes_on_when_a_default_is_written_meanwhile() -> None:
    made = world(fraud("2"))
    wanted = [V1, V2, fraud("2", WRITTEN)]
    assert change_of(made.plan(wanted)).action is Action.WAIT
    made.clock.advance(3601)
    assert outcomes(made.apply(wanted)) == {str(FRAUD): "paused"}
    made.clock.advance(3601)
    assert outcomes(made.apply(wanted)) == {str(FRAUD): "done"}
    assert change_of(made.plan(wanted)).action is Action.NONE

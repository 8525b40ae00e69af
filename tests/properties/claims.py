"""What has to hold after an apply, for any repository."""

from __future__ import annotations

from collections.abc import Mapping

from tests.properties.estates import Estate
from tests.unit.engine.world import STAGE, World

from mlops.plan.change import EFFECTIVE
from mlops.plan.live import uses_of
from mlops.resource import JSON, Address, Event, Kind, Observed, Resource, Spec
from mlops.rollout import to_live

ENDED = (Event.FINISHED, Event.FAILED, Event.INTERRUPTED)


def without_counts(spec: Spec) -> Spec:
    """A live endpoint without the instance counts that an autoscaler owns."""
    kept: dict[str, JSON] = {}
    deployments = spec.get("deployments")
    assert isinstance(deployments, Mapping)
    for name, value in deployments.items():
        assert isinstance(value, Mapping)
        kept[name] = {k: v for k, v in value.items() if k != "instance_count" or "scale_settings" not in value}
    return {**spec, "deployments": kept}


def _is_live(world: World, resource: Resource, observed: Observed) -> None:
    if resource.address.kind is Kind.ENDPOINT:
        wanted = to_live(resource.spec, world.drivers[STAGE][resource.driver].rules)
        assert without_counts(observed.spec) == without_counts(wanted)
    else:
        assert observed.spec == resource.spec
    assert observed.stamp is not None
    assert observed.stamp.goal == resource.goal


def _needed(resources: tuple[Resource, ...], live: Mapping[Address, Observed]) -> set[Address]:
    """What may be live without being declared: what is waited for, what is in use, and what is to move."""
    waited = {Address.parse(w) for r in resources for w in r.waits}
    used = {used for observed in live.values() for used in uses_of(observed)}
    moving = {r.address.name.partition("@")[0] for r in resources if r.waits}
    old = {a for a in live if a.kind is Kind.ENDPOINT and a.name.partition("@")[0] in moving}
    return waited | used | old


def assert_settled(world: World, estate: Estate) -> None:
    """What is declared and does not wait is live exactly so, nothing else is, and nothing is left to do."""
    resources = estate.resources()
    plan = world.plan(resources)
    assert [(str(c.address), c.action, c.reason) for c in plan.changes if c.action in EFFECTIVE] == []
    live = world.live()
    for resource in resources:
        if not resource.waits:
            _is_live(world, resource, live[resource.address])
    assert set(live) - {r.address for r in resources} <= _needed(resources, live)
    assert_ledger_closed(world, {r.address for r in resources if r.waits})


def assert_ledger_closed(world: World, waiting: set[Address]) -> None:
    """Every run that started has ended, and no rollout and no intention is left open but of what waits."""
    for journal in world.journals.values():
        assert journal.state.run is None
        assert set(journal.state.rollouts) | set(journal.state.intended) <= waiting
        started = [r.run for r in journal.records if r.event is Event.STARTED]
        assert started == [r.run for r in journal.records if r.event in ENDED]


def assert_traffic_sound(spec: Spec) -> None:
    """Traffic goes to deployments that are there, and sums to all of it or to none."""
    traffic, deployments = spec.get("traffic"), spec.get("deployments")
    assert isinstance(traffic, Mapping)
    assert isinstance(deployments, Mapping)
    weights = {name: weight for name, weight in traffic.items() if isinstance(weight, int)}
    assert {name for name, weight in weights.items() if weight} <= set(deployments)
    assert sum(weights.values()) in (0, 100)
    assert all(0 <= weight <= 100 for weight in weights.values())

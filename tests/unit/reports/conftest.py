"""A plan that holds every action, made by the real planner from real specs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from mlops.drivers.memory import MemoryDriver
from mlops.plan import Baseline, Plan, digests_of, plan_section
from mlops.plan.wanted import Target, Wanted
from mlops.resource import JSON, Address, Kind, Observed, Resource, Rollout, Spec, Stamp, digest
from mlops.rollout import to_live

MakePlan = Callable[..., Plan]


def endpoint(version: str, *, environment: str = "1", instances: int = 1, scale: str = "") -> dict[str, JSON]:
    """An endpoint with one deployment, `blue`."""
    blue: dict[str, JSON] = {
        "model": {"name": "digits", "version": version, "files": {"m.onnx": digest(version)}},
        "environment": {"name": "onnx", "version": environment, "lock": digest(environment)},
        "instance_count": instances,
    }
    if scale:
        blue["scale_settings"] = {"type": scale}
    return {"deployments": {"blue": blue}, "traffic": {"blue": 100}}


def address(name: str) -> Address:
    return Address(Kind.ENDPOINT, name)


def wanted(name: str, spec: Spec, *, waits: tuple[str, ...] = (), rollout: Rollout | None = None) -> Resource:
    return Resource(address(name), "near", spec, waits=waits, rollout=rollout or Rollout())


def live(name: str, spec: Spec, goal: str | None = None) -> Observed:
    stamp = Stamp("demo", "dev", str(address(name)), goal or digest(spec))
    return Observed(address(name), to_live(spec, MemoryDriver.rules), stamp)


def plan_of(
    resources: tuple[Resource, ...],
    observed: tuple[Observed, ...],
    *,
    specs: tuple[Spec, ...] = (),
    denied: Mapping[Address, Mapping[str, str]] | None = None,
    protect: bool = False,
) -> Plan:
    """Plan one section, as the pipeline does."""
    known = {digest(spec): spec for spec in specs}
    applied = {o.address: o.stamp.goal for o in observed if o.stamp is not None}
    baseline = Baseline(exists=True, applied=applied, denied=denied or {}, spec=known.get)
    target = Target(MemoryDriver.rules, MemoryDriver.traffic)
    needs = Wanted("demo", "dev", resources, observed, baseline, {"near": target}, protect=protect)
    section = plan_section(needs, {o.address: "near" for o in observed})
    revision: dict[str, JSON] = {"commit": "c" * 40, "branch": "main", "dirty": True}
    return Plan("demo", "dev", (section,), digests_of([section]), revision)


@pytest.fixture
def every_action() -> Plan:
    """One change of each action, and a difference that is suppressed."""
    old, new = endpoint("1"), endpoint("2")
    scaled = endpoint("1", scale="target_utilization", instances=2)
    grown = live("scaled@near", endpoint("1", scale="target_utilization", instances=5), digest(scaled))
    foreign = replace(live("foreign@near", old), stamp=None)
    bad = {address("bad@near"): {digest(endpoint("3")): "error rate 5 %"}}
    zoned: dict[str, JSON] = {**old, "zone": "west"}
    return plan_of(
        (
            wanted("digits@near", new, rollout=Rollout("canary", (10, 50), 30.0)),
            wanted("same@near", old),
            wanted("scaled@near", scaled),
            wanted("fresh@near", old),
            wanted("bad@near", endpoint("3")),
            wanted("later@near", old, waits=("model/fraud:5",)),
            wanted("foreign@near", old),
            wanted("moved@near", {**old, "zone": "east"}),
        ),
        (
            live("digits@near", old),
            live("same@near", old),
            grown,
            live("gone@near", old),
            live("bad@near", old),
            foreign,
            live("moved@near", zoned),
        ),
        specs=(old, scaled, zoned),
        denied=bad,
    )


@pytest.fixture
def make_plan() -> MakePlan:
    """The function that plans."""
    return plan_of

"""Repositories as Hypothesis draws them, and edits that turn one into another.

The second repository is an edit of the first, so most objects survive and meet their dependencies' changes. Two drawn
independently would share nothing, and find nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st
from tests.unit.engine.world import EAST, WEST, deployment, endpoint, model

from mlops.resource import JSON, Checks, Resource, Rollout

MODELS = ("churn", "fraud", "spam")
VERSIONS = ("1", "2", "3")
ENDPOINTS = ("alpha", "beta", "gamma", "delta")
NAMES = ("blue", "green", "red")
CHECKS = Checks(sample_request=False)
ROLLOUTS = (
    Rollout(checks=CHECKS),
    Rollout("blue_green", checks=CHECKS),
    Rollout("canary", (10,), checks=CHECKS),
    Rollout("canary", (1, 33, 66, 99), soak=5.0, checks=CHECKS),
)


@dataclass(frozen=True)
class Served:
    """One declared deployment."""

    reference: str
    count: int = 1
    autoscaled: bool = False
    variable: str | None = None

    def spec(self) -> dict[str, JSON]:
        fields: dict[str, JSON] = {"instance_count": self.count}
        if self.autoscaled:
            fields["scale_settings"] = {"type": "target_utilization"}
        if self.variable is not None:
            fields["environment_variables"] = {"MODE": self.variable}
        return deployment(self.reference, **fields)


@dataclass(frozen=True)
class Declared:
    """One declared endpoint."""

    deployments: Mapping[str, Served]
    traffic: Mapping[str, int]
    rollout: Rollout = ROLLOUTS[0]
    compute: str = WEST
    zone: str | None = None
    tag: str | None = None


@dataclass(frozen=True)
class Estate:
    """What a repository declares: models by name and version, endpoints by name."""

    models: frozenset[str] = frozenset()
    endpoints: Mapping[str, Declared] = field(default_factory=dict)

    def resources(self) -> tuple[Resource, ...]:
        made = [model(*reference.split(":")) for reference in sorted(self.models)]
        return (*made, *(self._endpoint(name, declared) for name, declared in self.endpoints.items()))

    def _endpoint(self, name: str, declared: Declared) -> Resource:
        missing = {s.reference for s in declared.deployments.values()} - self.models
        fields: dict[str, JSON] = {}
        if declared.zone is not None:
            fields["zone"] = declared.zone
        if declared.tag is not None:
            fields["tags"] = {"team": declared.tag}
        return endpoint(
            name,
            {key: served.spec() for key, served in declared.deployments.items()},
            traffic=declared.traffic,
            rollout=declared.rollout,
            compute=declared.compute,
            waits=tuple(f"model/{reference}" for reference in sorted(missing)),
            fields=fields,
        )


references = st.builds("{}:{}".format, st.sampled_from(MODELS), st.sampled_from(VERSIONS))
served = st.builds(
    Served,
    references,
    st.integers(1, 3),
    st.booleans(),
    st.none() | st.sampled_from(("fast", "exact")),
)


@st.composite
def weights(draw: st.DrawFn, names: tuple[str, ...]) -> dict[str, int]:
    """Traffic that sums to 100, or now and then to 0."""
    if draw(st.integers(0, 9)) == 0:
        return dict.fromkeys(names, 0)
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(names) - 1, max_size=len(names) - 1)))
    bounds = [0, *cuts, 100]
    return {name: bounds[i + 1] - bounds[i] for i, name in enumerate(names)}


@st.composite
def declared_endpoints(draw: st.DrawFn) -> Declared:
    names = tuple(draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)))
    return Declared(
        {name: draw(served) for name in names},
        draw(weights(names)),
        draw(st.sampled_from(ROLLOUTS)),
        draw(st.sampled_from((WEST, EAST))),
        draw(st.none() | st.sampled_from(("a", "b"))),
        draw(st.none() | st.sampled_from(("x", "y"))),
    )


@st.composite
def estates(draw: st.DrawFn, *, complete: bool = False) -> Estate:
    """A repository; where it is not `complete`, an endpoint may name a model version that is not declared."""
    endpoints = draw(st.dictionaries(st.sampled_from(ENDPOINTS), declared_endpoints(), min_size=1, max_size=4))
    used = {s.reference for d in endpoints.values() for s in d.deployments.values()}
    extra = draw(st.sets(references, max_size=2))
    absent = set() if complete else draw(st.sets(st.sampled_from(sorted(used)), max_size=1))
    return Estate(frozenset((used | extra) - absent), endpoints)


def _change_deployment(draw: st.DrawFn, declared: Declared) -> Declared:
    name = draw(st.sampled_from(sorted(declared.deployments)))
    now = declared.deployments[name]
    match draw(st.sampled_from(("model", "count", "autoscale", "variable"))):
        case "model":
            now = replace(now, reference=draw(references))
        case "count":
            now = replace(now, count=draw(st.integers(1, 3)))
        case "autoscale":
            now = replace(now, autoscaled=not now.autoscaled)
        case _:
            now = replace(now, variable=draw(st.none() | st.sampled_from(("fast", "exact"))))
    return replace(declared, deployments={**declared.deployments, name: now})


def _change_names(draw: st.DrawFn, declared: Declared) -> Declared:
    names = tuple(draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)))
    deployments = {name: declared.deployments.get(name) or draw(served) for name in names}
    return replace(declared, deployments=deployments, traffic=draw(weights(names)))


def _change_endpoint(draw: st.DrawFn, declared: Declared) -> Declared:
    edit = draw(st.sampled_from(("deployment", "deployment", "names", "traffic", "rollout", "compute", "zone", "tag")))
    match edit:
        case "deployment":
            return _change_deployment(draw, declared)
        case "names":
            return _change_names(draw, declared)
        case "compute":
            return replace(declared, compute=EAST if declared.compute == WEST else WEST)
    values = {
        "traffic": weights(tuple(declared.deployments)),
        "rollout": st.sampled_from(ROLLOUTS),
        "zone": st.none() | st.sampled_from(("a", "b")),
        "tag": st.none() | st.sampled_from(("x", "y")),
    }
    changed: dict[str, Any] = {edit: draw(values[edit])}
    return replace(declared, **changed)


@st.composite
def edits_of(draw: st.DrawFn, estate: Estate, *, complete: bool = False) -> Estate:
    """The same repository after one to five edits."""
    for _ in range(draw(st.integers(1, 5))):
        endpoints = dict(estate.endpoints)
        name = draw(st.sampled_from(ENDPOINTS))
        if name not in endpoints:
            endpoints[name] = draw(declared_endpoints())
        elif draw(st.integers(0, 5)) == 0:
            del endpoints[name]
        else:
            endpoints[name] = _change_endpoint(draw, endpoints[name])
        estate = replace(estate, endpoints=endpoints)
    used = {s.reference for d in estate.endpoints.values() for s in d.deployments.values()}
    dropped = draw(st.sets(st.sampled_from(sorted(estate.models | {"none:1"})), max_size=2))
    kept = (estate.models | used) - (dropped - used if complete else dropped)
    return replace(estate, models=frozenset(kept))


@st.composite
def edited_estates(draw: st.DrawFn, *, complete: bool = False) -> tuple[Estate, Estate]:
    """A repository before and after."""
    before = draw(estates(complete=complete))
    return before, draw(edits_of(before, complete=complete))

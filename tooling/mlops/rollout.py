"""A rollout as data: one change of an endpoint becomes a visible sequence of specs.

The engine puts each spec, waits for health and checks, and on a failure puts the first one back; no driver is asked to
roll out. A live deployment is called by its declared name and a digest of its content, so two versions can live side
by side under one declared name, and the same content always has the same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlops.resource import JSON, FieldEffect, FieldRule, Rollout, Spec, TrafficSupport, Unset, digest
from mlops.rules import default_of, owned, rule_for, same

DECLARED_NAME = "deployment"
"""The key under which a live deployment keeps the name that it was declared with."""

ENDPOINT_WIDE = ("auth_mode", "token_seconds", "limits", "tls", "telemetry", "drain_delay")
"""What is the endpoint's and no deployment's: it holds from the first step on, for old and new versions alike, so that
what protects an endpoint never waits for a canary."""


@dataclass(frozen=True, slots=True)
class Step:
    """One state of an endpoint on its way from one spec to another.

    Attributes:
        title: What it does, for people.
        spec: The whole endpoint in live form.
        weight: Percent of the changed deployments' traffic that the new versions get; None outside of a shift.
        soak: Seconds that it has to stay good.
        check: Live names of the deployments to check before going on.
        soaked: It soaked while no run was there; what was counted since then decides.
    """

    title: str
    spec: Spec
    weight: int | None = None
    soak: float = 0.0
    check: tuple[str, ...] = ()
    soaked: bool = False


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}


def _content(name: str, deployment: Mapping[str, JSON], declared: Spec, rules: Sequence[FieldRule]) -> dict[str, JSON]:
    """The fields of a deployment that cannot change under a live name."""
    kept: dict[str, JSON] = {}
    for key, value in deployment.items():
        rule = rule_for(("deployments", name, key), declared, rules)
        if rule is None or rule.effect not in (FieldEffect.IN_PLACE, FieldEffect.IGNORED):
            kept[key] = value
    return kept


def to_live(spec: Spec, rules: Sequence[FieldRule]) -> Spec:
    """The live form of a declared endpoint: deployments and traffic under live names."""
    names: dict[str, str] = {}
    deployments: dict[str, JSON] = {}
    for name, value in _mapping(spec.get("deployments")).items():
        deployment = _mapping(value)
        names[name] = f"{name}-{digest(_content(name, deployment, spec, rules))[:8]}"
        deployments[names[name]] = {**deployment, DECLARED_NAME: name}
    live = dict(spec)
    live["deployments"] = deployments
    if "traffic" in spec:
        live["traffic"] = {names.get(name, name): weight for name, weight in _mapping(spec["traffic"]).items()}
    if "mirror_traffic" in spec:
        mirrored = _mapping(spec["mirror_traffic"])
        live["mirror_traffic"] = {names.get(name, name): percent for name, percent in mirrored.items()}
    return live


def _weight(value: JSON) -> int:
    return value if isinstance(value, int) else 0


def traffic_of(spec: Spec) -> dict[str, int]:
    """Weights by deployment; where none are written, a single deployment has all of the traffic."""
    if "traffic" in spec:
        return {name: _weight(value) for name, value in _mapping(spec["traffic"]).items()}
    deployments = _mapping(spec.get("deployments"))
    return dict.fromkeys(deployments, 100) if len(deployments) == 1 else {}


def from_live(spec: Spec) -> Spec:
    """The declared form of a live endpoint; where two versions share a declared name, the one with most traffic."""
    traffic = traffic_of(spec)
    deployments: dict[str, JSON] = {}
    weights: dict[str, int] = {}
    best: dict[str, int] = {}
    for live_name, value in sorted(_mapping(spec.get("deployments")).items()):
        deployment = dict(_mapping(value))
        name = str(deployment.pop(DECLARED_NAME, live_name))
        weight = traffic.get(live_name, 0)
        if live_name in traffic:
            weights[name] = weights.get(name, 0) + weight
        if name not in best or weight > best[name]:
            best[name] = weight
            deployments[name] = deployment
    declared = dict(spec)
    declared["deployments"] = deployments
    if "traffic" in spec:
        declared["traffic"] = dict(weights)
    if "mirror_traffic" in spec:
        mirrored = _mapping(spec["mirror_traffic"])
        declared["mirror_traffic"] = {declared_name(spec, live): percent for live, percent in mirrored.items()}
    return declared


def _share(total: int, percent: int) -> int:
    """A whole share of a whole weight: never nothing and never all of it, unless it cannot be split."""
    if total < 2 or percent in (0, 100):
        return total if percent == 100 else 0
    return min(max(round(total * percent / 100), 1), total - 1)


@dataclass(frozen=True, slots=True)
class _Shift:
    """The deployments of both sides, and which declared names get new content."""

    base: Spec
    target: Spec
    old: Mapping[str, str]
    new: Mapping[str, str]

    @property
    def changed(self) -> tuple[str, ...]:
        """Declared names that are live with other content."""
        return tuple(name for name in self.new if name in self.old and self.old[name] != self.new[name])

    @property
    def added(self) -> tuple[str, ...]:
        """Live names of the target that are not live yet."""
        return tuple(live for name, live in self.new.items() if self.old.get(name) != live)

    def spec(self, traffic: Mapping[str, JSON]) -> Spec:
        """Both sides' deployments together, with this traffic; all else as in the (protected) base."""
        deployments = {**_mapping(self.base.get("deployments")), **self._added_deployments()}
        return {**self.base, "deployments": deployments, "traffic": dict(traffic)}

    def _added_deployments(self) -> dict[str, JSON]:
        wanted = _mapping(self.target.get("deployments"))
        return {live: wanted[live] for live in self.added}

    def shifted(self, percent: int) -> dict[str, JSON]:
        """The base's traffic with this share of each changed deployment's weight on its new version."""
        traffic: dict[str, JSON] = dict(traffic_of(self.base))
        for name in self.changed:
            old, new = self.old[name], self.new[name]
            total = _weight(traffic.get(old)) + _weight(traffic.get(new))
            traffic[new] = _share(total, percent)
            traffic[old] = total - _share(total, percent)
        return traffic


def declared_name(spec: Spec, live_name: str) -> str:
    """The name under which a live deployment was declared."""
    return str(_mapping(_mapping(spec.get("deployments")).get(live_name)).get(DECLARED_NAME, live_name))


def _live_names(spec: Spec) -> dict[str, str]:
    """Live name by declared name; of two versions the one with most traffic."""
    traffic = traffic_of(spec)
    names: dict[str, str] = {}
    for live in sorted(_mapping(spec.get("deployments"))):
        name = declared_name(spec, live)
        if name not in names or traffic.get(live, 0) > traffic.get(names[name], 0):
            names[name] = live
    return names


def _canary(shift: _Shift, rollout: Rollout) -> list[Step]:
    base_traffic = traffic_of(shift.base)
    carries = any(base_traffic.get(shift.old[name]) for name in shift.changed)
    if rollout.strategy == "all_at_once" or not carries:
        return []
    check = tuple(shift.new[name] for name in shift.changed)
    weights = rollout.weights if rollout.strategy == "canary" else ()
    return [
        Step(f"{percent} % to the new version", shift.spec(shift.shifted(percent)), percent, rollout.soak, check)
        for percent in (*(w for w in weights if 0 < w < 100), 100)
    ]


def _protected(base: Spec, target: Spec, rules: Sequence[FieldRule]) -> tuple[Spec, tuple[str, ...]]:
    """The base with what is the endpoint's as in the target, and the names of what that changes."""

    def held(spec: Spec, name: str) -> JSON | Unset:
        return spec[name] if name in spec else default_of((name,), spec, rules)

    changed = tuple(name for name in ENDPOINT_WIDE if not same(held(base, name), held(target, name)))
    kept = {name: value for name, value in base.items() if name not in changed}
    return {**kept, **{name: target[name] for name in changed if name in target}}, changed


def make_steps(
    base: Spec | None, target: Spec, rollout: Rollout, support: TrafficSupport, rules: Sequence[FieldRule] = ()
) -> tuple[Step, ...]:
    """The sequence of specs from one live form to another.

    Args:
        base: The live form to start from; None where nothing is live.
        target: The live form to arrive at.
        rollout: How to shift traffic.
        support: What the compute can do with traffic.
        rules: The driver's, for what holds where a field is not declared.

    Returns:
        At least one step; the last one's spec is the target. Each step holds the whole endpoint, and from the first on
        what is `ENDPOINT_WIDE` as in the target.
    """
    fresh = tuple(_mapping(target.get("deployments")))
    if base is None:
        return (Step("create", target, check=fresh),)
    protected, changed = _protected(base, target, rules)
    shift = _Shift(protected, target, _live_names(base), _live_names(target))
    if support is not TrafficSupport.WEIGHTED or not shift.added:
        serving = [name for name, weight in traffic_of(target).items() if weight]
        return (Step("update", target, check=tuple(dict.fromkeys([*shift.added, *serving]))),)
    beside = "start beside the old version, without traffic"
    title = f"{beside}; change {', '.join(changed)} for both" if changed else beside
    started = Step(title, shift.spec(shift.shifted(0)), 0, 0.0, shift.added)
    shifts = _canary(shift, rollout)
    last = "remove the old version" if shifts else "switch to the new version"
    return (started, *shifts, Step(last, target, check=shift.added))


def find_step(steps: Sequence[Step], live: Spec, rules: Sequence[FieldRule] = ()) -> int | None:
    """Which step a live spec is at: the last one that it equals in all fields that are ours."""
    matching = [
        index
        for index, step in enumerate(steps)
        if same(owned(step.spec, step.spec, rules), owned(live, step.spec, rules))
    ]
    return matching[-1] if matching else None

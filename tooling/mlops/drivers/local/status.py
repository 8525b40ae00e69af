"""What a supervisor says, as the engine sees it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlops.drivers.local.configuration import OWNER, instance_count, make_traffic
from mlops.drivers.local.home import Home
from mlops.drivers.local.watching import (
    DRAIN_DELAY,
    OPEN,
    TOKEN_SECONDS,
    make_limits,
    make_mirroring,
    make_sending,
    mapping,
    read_limits,
    read_sending,
)
from mlops.resource import JSON, Address, Health, HealthState, Kind, Observed, Spec, Stamp, Traffic

_ORDER = {state: rank for rank, state in enumerate(HealthState)}

_SILENT = Health(HealthState.UNHEALTHY, "the supervisor does not answer")


def address_of(name: str, compute: str) -> Address:
    """An endpoint's address."""
    return Address(Kind.ENDPOINT, f"{name}@{compute}")


def to_observed(home: Home, compute: str, said: Mapping[str, JSON]) -> Observed:
    """An endpoint whose supervisor answered."""
    document = mapping(said.get("configuration"))
    deployments = mapping(said.get("deployments"))
    healths = {name: _health(name, mapping(value)) for name, value in deployments.items()}
    return Observed(
        address_of(home.name, compute),
        spec_of(document),
        stamp_of(document),
        outputs_of(home, document),
        worst(healths.values()),
        {name: _traffic(mapping(value)) for name, value in deployments.items()},
        healths,
        settling=said.get("settled") is False,
    )


def to_silent(home: Home, compute: str, document: Mapping[str, JSON]) -> Observed:
    """An endpoint whose supervisor lives but does not answer: what it was told, and that it is unhealthy."""
    outputs = outputs_of(home, document)
    return Observed(address_of(home.name, compute), spec_of(document), stamp_of(document), outputs, _SILENT)


def outputs_of(home: Home, document: Mapping[str, JSON]) -> dict[str, str]:
    """What an endpoint offers as it is configured."""
    return home.outputs("https" if document.get("tls") else "http")


def stamp_of(document: Mapping[str, JSON]) -> Stamp | None:
    """Our stamp in a supervisor's configuration."""
    return Stamp.from_json(document.get(OWNER))


def spec_of(document: Mapping[str, JSON]) -> Spec:
    """The spec that was put, corrected by what the supervisor does, in case that somebody else told it otherwise."""
    spec = mapping(mapping(document.get(OWNER)).get("spec"))
    if not spec:
        return {}
    entries = mapping(document.get("deployments"))
    known = mapping(spec.get("deployments"))
    deployments = {name: _deployment(mapping(known.get(name)), mapping(entry), spec) for name, entry in entries.items()}
    in_order = {name: deployments[name] for name in (*known, *entries) if name in deployments}
    corrected: dict[str, JSON] = {**spec, "deployments": in_order}
    traffic = mapping(document.get("traffic"))
    if _weights(traffic) != _weights(make_traffic(spec, mapping(document.get("aliases")))):
        corrected["traffic"] = dict(traffic)
    return _correct_gateway(corrected, spec, document)


def _correct_gateway(corrected: dict[str, JSON], spec: Spec, document: Mapping[str, JSON]) -> Spec:
    """Say what the gateway does where it was told otherwise than the spec says."""
    auth = mapping(document.get("auth"))
    said = {
        "auth_mode": (auth.get("mode", OPEN), OPEN),
        "token_seconds": (auth.get("token_seconds", TOKEN_SECONDS), TOKEN_SECONDS),
        "drain_delay": (document.get("drain_delay", DRAIN_DELAY), DRAIN_DELAY),
    }
    actual = {name: value for name, (value, default) in said.items() if value != spec.get(name, default)}
    if mapping(document.get("mirror_traffic")) != make_mirroring(spec):
        actual["mirror_traffic"] = dict(mapping(document.get("mirror_traffic")))
    if mapping(document.get("telemetry")) != mapping(spec.get("telemetry")):
        actual["telemetry"] = dict(mapping(document.get("telemetry")))
    if mapping(document.get("limits")) != make_limits(spec):
        actual["limits"] = read_limits(mapping(document.get("limits")), mapping(spec.get("limits")))
    if mapping(document.get("tls")) != mapping(mapping(document.get(OWNER)).get("tls")):
        actual["tls"] = dict(mapping(document.get("tls")))
    for key, value in actual.items():
        corrected.pop(key, None)
        if value or key in said:
            corrected[key] = value
    return corrected


def worst(healths: Iterable[Health]) -> Health:
    """The health of several deployments together: the worst state and its reason, all of their workers."""
    every = list(healths)
    if not every:
        return Health()
    bad = max(every, key=lambda health: _ORDER[health.state])
    ready = sum(health.ready or 0 for health in every)
    return Health(bad.state, bad.reason, ready, sum(health.wanted or 0 for health in every), bad.log)


def _deployment(declared: Mapping[str, JSON], entry: Mapping[str, JSON], spec: Spec) -> Mapping[str, JSON]:
    actual: dict[str, JSON] = {}
    if instance_count(declared) != instance_count(entry):
        actual["instance_count"] = instance_count(entry)
    if make_sending(declared, spec) != mapping(entry.get("telemetry")):
        actual["telemetry"] = read_sending(entry)
    return {**declared, **actual} if actual else declared


def _weights(traffic: Mapping[str, JSON]) -> dict[str, JSON]:
    return {name: weight for name, weight in traffic.items() if weight}


def _health(name: str, said: Mapping[str, JSON]) -> Health:
    try:
        state = HealthState(str(said.get("state")))
    except ValueError:
        state = HealthState.UNHEALTHY
    if state is HealthState.HEALTHY:
        return Health(state, "", _count(said, "ready"), _count(said, "wanted"))
    reason = " ".join(str(said.get("reason") or "no reason given").split())
    tail = said.get("log_tail")
    log = tuple(str(line) for line in tail) if isinstance(tail, list) else ()
    return Health(state, f"{name}: {reason}", _count(said, "ready"), _count(said, "wanted"), log)


def _traffic(said: Mapping[str, JSON]) -> Traffic:
    return Traffic(_count(said, "requests"), _count(said, "errors"))


def _count(said: Mapping[str, JSON], name: str) -> int:
    value = said.get(name)
    return value if isinstance(value, int) else 0

"""The parts of the supervisor's configuration that say who may call, what is copied, and what is kept of requests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlops.resource import JSON, Spec
from mlops.schemas.quantities import parse_memory

_LIMITS = {
    "max_body_size": "body_bytes",
    "max_connections": "connections",
    "head_timeout": "head_seconds",
    "body_timeout": "body_seconds",
    "idle_timeout": "idle_seconds",
}
"""The gateway's names of the limits that can be declared."""

_WORKERS_TOO = ("otlp_endpoint", "sampling_ratio")
"""What of the endpoint's telemetry holds for its workers; the rest is the gateway's."""

OPEN = "none"
"""The mode of authentication where none is declared."""

TOKEN_SECONDS = 3600
"""How long a token lives. It cannot be declared; whoever reaches the admin socket can set it."""

DRAIN_DELAY = 0
"""Seconds between not being ready any more and taking no more connections. It cannot be declared either."""


def mapping(value: object) -> Mapping[str, JSON]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def make_gateway(spec: Spec, tls: Mapping[str, str]) -> dict[str, JSON]:
    """What the gateway is told beside its weights; what is not declared is left out.

    Args:
        spec: The endpoint in live form.
        tls: The certificate and its key as absolute paths.
    """
    made: dict[str, JSON] = {}
    if auth := _make_auth(spec):
        made["auth"] = auth
    if (delay := spec.get("drain_delay", DRAIN_DELAY)) != DRAIN_DELAY:
        made["drain_delay"] = delay
    if tls:
        made["tls"] = dict(tls)
    if mirrored := make_mirroring(spec):
        made["mirror_traffic"] = mirrored
    if telemetry := mapping(spec.get("telemetry")):
        made["telemetry"] = dict(telemetry)
    if limits := make_limits(spec):
        made["limits"] = limits
    return made


def _make_auth(spec: Spec) -> dict[str, JSON]:
    made: dict[str, JSON] = {}
    if (mode := spec.get("auth_mode", OPEN)) != OPEN:
        made["mode"] = mode
    if (seconds := spec.get("token_seconds", TOKEN_SECONDS)) != TOKEN_SECONDS:
        made["token_seconds"] = seconds
    return made


def make_limits(spec: Spec) -> dict[str, JSON]:
    """Limits under the gateway's names: bytes and seconds. One that cannot be declared has no other name."""
    made: dict[str, JSON] = {}
    for name, value in mapping(spec.get("limits")).items():
        made[_LIMITS.get(name, name)] = parse_memory(str(value)) if name == "max_body_size" else value
    return made


def read_limits(actual: Mapping[str, JSON], declared: Mapping[str, JSON]) -> dict[str, JSON]:
    """What a gateway was told, under the declared names and, where it is the same, in the declared words."""
    names = {theirs: ours for ours, theirs in _LIMITS.items()}
    read: dict[str, JSON] = {}
    for theirs, value in actual.items():
        ours = names.get(theirs, theirs)
        same = ours in declared and make_limits({"limits": {ours: declared[ours]}})[theirs] == value
        read[ours] = declared[ours] if same else value
    return read


def make_mirroring(spec: Spec) -> dict[str, JSON]:
    """Percent of the requests that are copied, by live name."""
    return {name: percent for name, percent in mapping(spec.get("mirror_traffic")).items() if percent}


def make_watching(deployment: Mapping[str, JSON], collected: Path) -> dict[str, JSON]:
    """What a worker is told beside what it serves; what is not declared is left out.

    Args:
        deployment: In live form.
        collected: The folder for collected data.
    """
    made: dict[str, JSON] = {}
    for key, kept in (("model", ("name", "version")), ("batching", ("max_batch_size", "max_delay_ms"))):
        if found := mapping(deployment.get(key)):
            made[key] = {name: found[name] for name in kept if name in found}
    if isinstance(declared := deployment.get("deployment"), str):
        made["deployment"] = declared
    if collector := mapping(deployment.get("data_collector")):
        made["data_collector"] = _collector(collector, collected)
    return made


def make_sending(deployment: Mapping[str, JSON], spec: Spec) -> dict[str, JSON]:
    """Where a deployment's workers send telemetry.

    Args:
        deployment: In live form; it has `telemetry` of its own only where somebody told its workers otherwise.
        spec: The endpoint's.
    """
    sending = {name: value for name, value in mapping(spec.get("telemetry")).items() if name in _WORKERS_TOO}
    if deployment.get("app_insights_enabled") is True:
        sending["azure_monitor"] = True
    return {**sending, **mapping(deployment.get("telemetry"))}


def read_sending(entry: Mapping[str, JSON]) -> dict[str, JSON]:
    """What workers were told, in full, so that it also wins where it is less than the endpoint declares."""
    return {"otlp_endpoint": None, "azure_monitor": False, **mapping(entry.get("telemetry"))}


def _collector(declared: Mapping[str, JSON], collected: Path) -> dict[str, JSON]:
    """Azure ML's form with its defaults written out for each collection."""
    share = declared.get("sampling_rate", 1.0)
    collections: dict[str, JSON] = {
        name: {"sampling_rate": share, **mapping(collection)}
        for name, collection in mapping(declared.get("collections")).items()
    }
    made: dict[str, JSON] = {"directory": str(collected), "collections": collections}
    if "rolling_rate" in declared:
        made["rolling_rate"] = declared["rolling_rate"]
    if headers := mapping(declared.get("request_logging")).get("capture_headers"):
        made["capture_headers"] = headers
    return made

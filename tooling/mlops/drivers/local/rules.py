"""How an endpoint's fields behave on local processes, and which fields nothing here enforces."""

from __future__ import annotations

from collections.abc import Mapping

from mlops.drivers.local.watching import DRAIN_DELAY, OPEN, TOKEN_SECONDS
from mlops.resource import JSON, FieldEffect, FieldRule

_BESIDE = "a deployment's content is fixed; a changed one is started beside the old one and takes over its traffic"
_NOTE = "it is a note, and no process needs it"
_FLEET = "only the difference is started or drained"
_RENEWED = "workers are replaced by such as send there, one by one"
_LISTENER = "other files are taken in place; https on or off needs a new listener"

LIMITS: Mapping[str, JSON] = {
    "max_body_size": "64Mi",
    "max_connections": 2048,
    "head_timeout": 10.0,
    "body_timeout": 120.0,
    "idle_timeout": 75.0,
}
"""What the gateway keeps where no limit is declared; times in seconds."""


def _defaulting(name: str, reason: str, within: Mapping[str, JSON]) -> tuple[FieldRule, ...]:
    """Rules of a group that is changed in place, with what holds where the group or a field of it is not declared."""
    fields = (
        FieldRule(f"{name}.{field}", FieldEffect.IN_PLACE, reason, default=each) for field, each in within.items()
    )
    return (FieldRule(name, FieldEffect.IN_PLACE, reason, default={}), *fields)


RULES: tuple[FieldRule, ...] = (
    FieldRule("deployments.*", FieldEffect.RESTART, _BESIDE),
    FieldRule("deployments.*.instance_count", FieldEffect.IN_PLACE, _FLEET, default=1),
    FieldRule("deployments.*.scale_settings", FieldEffect.IN_PLACE, _NOTE, default={"type": "default"}),
    FieldRule("deployments.*.tags", FieldEffect.IN_PLACE, _NOTE),
    FieldRule("deployments.*.properties", FieldEffect.IN_PLACE, _NOTE),
    FieldRule("deployments.*.description", FieldEffect.IN_PLACE, _NOTE),
    FieldRule("deployments.*.telemetry", FieldEffect.IN_PLACE, _RENEWED, default={}),
    FieldRule("traffic", FieldEffect.IN_PLACE, "the gateway takes new weights between two requests"),
    *_defaulting("mirror_traffic", "the gateway takes it between two requests", {"*": 0}),
    FieldRule("auth_mode", FieldEffect.IN_PLACE, "the gateway asks for it from the next request on", default=OPEN),
    FieldRule("token_seconds", FieldEffect.IN_PLACE, "the next token lives that long", default=TOKEN_SECONDS),
    FieldRule("drain_delay", FieldEffect.IN_PLACE, "it holds when the supervisor is stopped", default=DRAIN_DELAY),
    FieldRule("tls", FieldEffect.RESTART, _LISTENER, default={}),
    *_defaulting("limits", "the gateway keeps them from the next connection on", LIMITS),
    *_defaulting(
        "telemetry",
        f"the gateway sends there from the next request on, and {_RENEWED}",
        {"sampling_ratio": 1, "access_log": 0},
    ),
    FieldRule("sample_request", FieldEffect.IN_PLACE, "it is sent after a change, and no process needs it"),
    FieldRule("tags", FieldEffect.IN_PLACE, _NOTE),
    FieldRule("properties", FieldEffect.IN_PLACE, _NOTE),
    FieldRule("description", FieldEffect.IN_PLACE, _NOTE),
)

_REMOVE = "Remove it, or put it into the file of a stage whose compute does this."

REFUSED: Mapping[str, str] = {
    "deployments.*.instance_count>50": "It is one machine. Write 50 or less.",
    "deployments.*.scale_settings.type=target_utilization": "Local processes do not scale by load: write default, and "
    f"set instance_count. {_REMOVE}",
    "deployments.*.resources": f"Local processes share the machine without requests or limits. {_REMOVE}",
    "deployments.*.instance_type": f"There is one machine, this one. {_REMOVE}",
    "deployments.*.data_collector.collections.*.data": "Collected data lies in .mlops/collected, here. "
    "Remove it, or put it into the file of a stage whose compute writes to a datastore.",
    "deployments.*.data_collector.collections.*.client_id": f"Local processes run as you. {_REMOVE}",
    "deployments.*.egress_public_network_access": f"Local processes reach what this machine reaches. {_REMOVE}",
    "deployments.*.model_mount_path": "There is no container to mount into: read AZUREML_MODEL_DIR. Remove it.",
    "deployments.*.model.type=triton_model": f"There is no Triton server behind local processes. {_REMOVE}",
    "deployments.*.environment.unlocked": "A local process runs in a locked environment: give it requirements, and "
    "lock it with `mlops environment lock NAME`; an image alone needs a compute with containers.",
    "deployments.*.overrides": f"There is no other API behind local processes. {_REMOVE}",
    "overrides": f"There is no other API behind local processes. {_REMOVE}",
    "public_network_access": "Local endpoints are bound to loopback, always. Remove it.",
    "identity": f"Local processes run as you. {_REMOVE}",
}

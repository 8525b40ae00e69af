"""What an endpoint serves: the configuration document, format 1, and its frozen form.

The toolkit puts the whole document; a supervisor makes the world like it. Field names are those of the Azure ML CLI v2
deployment schema where it has one (`request_settings`, `liveness_probe`, `instance_count`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from mlops_scoring.deployments import Deployment, PicklePolicy, Probe, RequestSettings, parse_deployment
from mlops_scoring.documents import Fields, InvalidDocument, parse_json
from mlops_scoring.endpoint_settings import (
    Authentication,
    Tls,
    parse_authentication,
    parse_limits,
    parse_mirror_traffic,
    parse_tls,
)
from mlops_scoring.telemetry.settings import Telemetry, parse_telemetry
from mlops_scoring.wire.limits import Limits

__all__ = [
    "FORMAT",
    "Deployment",
    "EndpointConfiguration",
    "PicklePolicy",
    "Probe",
    "RequestSettings",
    "WorkerConfiguration",
    "parse_configuration",
    "parse_worker_configuration",
]

FORMAT = 1
"""Version of the configuration document."""


@dataclass(frozen=True, slots=True)
class EndpointConfiguration:
    """A whole configuration.

    Attributes:
        traffic: Weight in percent of each live name; the sum is 0 or 100.
        mirror_traffic: Share in percent of the requests that one deployment gets copies of.
        aliases: What the request header `azureml-model-deployment` reaches, besides live names.
        drain_delay: Seconds between saying that it is not ready and taking no more connections, when it is stopped.
        document: The configuration as it was put.
    """

    endpoint: str
    host: str
    port: int
    traffic: Mapping[str, int]
    mirror_traffic: Mapping[str, int]
    aliases: Mapping[str, str]
    deployments: Mapping[str, Deployment]
    auth: Authentication
    tls: Tls | None
    limits: Limits
    drain_delay: float
    telemetry: Telemetry
    document: Mapping[str, object]


def parse_configuration(data: bytes | str) -> EndpointConfiguration:
    """Read a configuration document.

    Raises:
        InvalidDocument: With every problem found.
    """
    problems: list[str] = []
    document = parse_json(data, "configuration")
    fields = Fields(document, "", problems)
    _check_format(fields)
    fields.get("stamp", None)
    deployments = {
        name: parse_deployment(name, value, f"deployments.{name}", problems)
        for name, value in fields.mapping("deployments").items()
    }
    traffic = _traffic(fields, deployments)
    auth, tls = parse_authentication(fields.below("auth", {})), parse_tls(fields)
    configuration = EndpointConfiguration(
        endpoint=fields.text("endpoint"),
        host=_host(fields, guarded=auth.mode != "none" and tls is not None),
        port=fields.whole("port", least=1, most=65535),
        traffic=traffic,
        mirror_traffic=parse_mirror_traffic(fields, deployments, traffic),
        aliases=_aliases(fields, deployments),
        deployments=deployments,
        auth=auth,
        tls=tls,
        limits=parse_limits(fields.below("limits", {})),
        drain_delay=fields.number("drain_delay", 0),
        telemetry=parse_telemetry(fields.below("telemetry", {})),
        document=document if isinstance(document, dict) else {},
    )
    fields.finish()
    if problems:
        raise InvalidDocument(problems)
    return configuration


@dataclass(frozen=True, slots=True)
class WorkerConfiguration:
    """What a worker is started with.

    Attributes:
        endpoint: Name of the endpoint; empty where it is not known.
    """

    endpoint: str
    deployment: Deployment


def parse_worker_configuration(data: bytes | str) -> WorkerConfiguration:
    """Read the file that a worker is started with: `{"format": 1, "live_name": ..., "deployment": {...}}`.

    Beside them may stand `endpoint`, the endpoint's name.

    Raises:
        InvalidDocument: With every problem found.
    """
    problems: list[str] = []
    fields = Fields(parse_json(data, "worker configuration"), "", problems)
    _check_format(fields)
    endpoint = fields.optional_text("endpoint") or ""
    deployment = parse_deployment(fields.text("live_name"), fields.get("deployment"), "deployment", problems)
    fields.finish()
    if problems:
        raise InvalidDocument(problems)
    return WorkerConfiguration(endpoint, deployment)


def _check_format(fields: Fields) -> None:
    found = fields.get("format")
    if found != FORMAT or isinstance(found, bool):
        fields.problem("format", f"must be {FORMAT}; it is {found!r}: the other side has another version")


def _host(fields: Fields, *, guarded: bool) -> str:
    """Read the address to listen on; one that others can reach needs clients that prove who they are, in secret."""
    host = fields.text("host")
    try:
        if not ipaddress.ip_address(host).is_loopback and not guarded:
            fields.problem(
                "host", f"must be a loopback address unless there are auth (key or aml_token) and tls; it is {host}"
            )
    except ValueError:
        if host:
            fields.problem("host", f"must be an IP address; it is {host!r}")
    return host


def _traffic(fields: Fields, deployments: Mapping[str, Deployment]) -> Mapping[str, int]:
    below = fields.below("traffic")
    traffic = {name: below.whole(name, most=100) for name in fields.mapping("traffic")}
    for name in traffic:
        if name not in deployments:
            below.problem(name, "is not the live name of a deployment")
    if sum(traffic.values()) not in {0, 100}:
        fields.problem("traffic", f"must add up to 0 or 100; it adds up to {sum(traffic.values())}")
    return traffic


def _aliases(fields: Fields, deployments: Mapping[str, Deployment]) -> Mapping[str, str]:
    aliases = fields.texts("aliases", {})
    for name, live in aliases.items():
        if live not in deployments:
            fields.problem(f"aliases.{name}", f"{live!r} is not the live name of a deployment")
        if name in deployments and live != name:
            fields.problem(f"aliases.{name}", "is the live name of another deployment")
    return aliases

"""Where a deployment's telemetry goes."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_scoring.documents import Fields


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where traces and metrics are sent.

    Attributes:
        otlp_endpoint: Address of an OpenTelemetry collector that speaks OTLP over HTTP; None sends nothing.
        sampling_ratio: Share of the traces that begin here and are kept, from 0 to 1; callers' decisions are followed.
        azure_monitor: Whether to send to Azure Monitor too; the connection string is in the environment.
        access_log: Share of the requests about which the gateway writes a line, from 0 to 1; workers write none.
    """

    otlp_endpoint: str | None = None
    sampling_ratio: float = 1.0
    azure_monitor: bool = False
    access_log: float = 0.0


def parse_telemetry(fields: Fields) -> Telemetry:
    """Read a document's `telemetry`."""
    endpoint = fields.optional_text("otlp_endpoint")
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        fields.problem("otlp_endpoint", "must be an http:// or https:// address")
    ratio = _share(fields, "sampling_ratio", 1.0)
    access_log = _share(fields, "access_log", 0.0)
    monitor = fields.get("azure_monitor", False)
    if not isinstance(monitor, bool):
        fields.problem("azure_monitor", "must be true or false")
    fields.finish()
    return Telemetry(endpoint, ratio, monitor is True, access_log)


def _share(fields: Fields, name: str, default: float) -> float:
    share = fields.number(name, default)
    if share > 1:
        fields.problem(name, f"must be from 0 to 1; it is {share}")
    return share

"""Where telemetry goes: what is declared, and OpenTelemetry's environment variables, which win.

Names, defaults and forms are those of the OpenTelemetry specification
(https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and `/otlp/exporter/`). A variable
that cannot be used is told once and otherwise ignored, as the specification asks: telemetry never keeps a model from
serving.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from mlops_scoring.telemetry.sampling import SAMPLERS, Sampler, named_sampler
from mlops_scoring.telemetry.settings import Telemetry

_PREFIX = "OTEL_EXPORTER_OTLP_"
_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one signal is posted.

    Attributes:
        url: Whole address.
        headers: To send along; they hold credentials, so they are not shown.
        timeout: Seconds for one attempt.
        certificate: File of the authorities to trust; None are the system's.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    timeout: float
    compress: bool
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What is sent, where and how often.

    Attributes:
        traces: None sends no spans; `metrics` likewise.
        span_delay: Seconds between two batches of spans.
        span_queue: Spans that wait at most; further ones are dropped and counted.
        span_batch: Spans of one batch at most.
        metric_interval: Seconds between two messages of metrics.
        resource: Attributes of OTEL_RESOURCE_ATTRIBUTES, and `service.name` where OTEL_SERVICE_NAME gives one.
        access_log: Share of the requests about which a gateway writes a line.
        problems: What could not be used, one sentence each.
    """

    traces: Destination | None
    metrics: Destination | None
    sampler: Sampler
    span_delay: float
    span_queue: int
    span_batch: int
    metric_interval: float
    resource: Mapping[str, str]
    azure_monitor: str | None = field(repr=False)
    access_log: float
    problems: tuple[str, ...]

    @property
    def active(self) -> bool:
        """Whether anything is sent."""
        return self.traces is not None or self.metrics is not None or self.azure_monitor is not None

    @property
    def tracing(self) -> bool:
        """Whether spans are made."""
        return self.traces is not None or self.azure_monitor is not None


def export_settings(declared: Telemetry, environment: Mapping[str, str]) -> ExportSettings:
    """Merge a declaration with the environment."""
    read = _Variables(environment)
    disabled = read.text("OTEL_SDK_DISABLED").lower() == "true"
    batch = read.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, most=65536)
    queue = read.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048, most=1048576)
    return ExportSettings(
        traces=None if disabled else _destination(read, declared, "TRACES"),
        metrics=None if disabled else _destination(read, declared, "METRICS"),
        sampler=_sampler(read, declared),
        span_delay=read.number("OTEL_BSP_SCHEDULE_DELAY", 5000) / 1000,
        span_queue=int(queue),
        span_batch=int(min(batch, queue)),
        metric_interval=read.number("OTEL_METRIC_EXPORT_INTERVAL", 60000) / 1000,
        resource=_resource(read),
        azure_monitor=None if disabled else _connection_string(read, declared),
        access_log=read.number("MLOPS_ACCESS_LOG", declared.access_log, least=0, most=1),
        problems=tuple(read.problems),
    )


class _Variables:
    """The environment; an empty variable counts as one that is not there."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def text(self, *names: str) -> str:
        return next((found for name in names if (found := self._environment.get(name, "").strip())), "")

    def number(self, name: str, default: float, *, least: float = 1, most: float = _DAY_MS) -> float:
        found = self.text(name)
        if not found:
            return default
        try:
            value = float(found)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            self.problems.append(f"{name} must be a number from {least:g} to {most:g}; {default:g} is taken.")
            return default
        return value

    def pairs(self, name: str, found: str, *, ascii_only: bool = False) -> dict[str, str]:
        """`a=1,b=2`, percent-encoded."""
        pairs: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in found.split(","))):
            key, equals, value = part.partition("=")
            key, value = unquote(key.strip()), unquote(value.strip())
            text = key + value
            if not equals or not key or not text.isprintable() or (ascii_only and not text.isascii()):
                self.problems.append(f"{name} must be a list of name=value with commas; a part of it is not used.")
            else:
                pairs[key] = value
        return pairs


def _destination(read: _Variables, declared: Telemetry, signal: str) -> Destination | None:
    exporter = read.text(f"OTEL_{signal}_EXPORTER")
    if exporter == "none":
        return None
    if exporter not in {"", "otlp"}:
        read.problems.append(f"OTEL_{signal}_EXPORTER must be otlp or none; otlp is taken.")
    url = read.text(f"{_PREFIX}{signal}_ENDPOINT")
    if not url:
        base = read.text(f"{_PREFIX}ENDPOINT") or declared.otlp_endpoint or ""
        url = f"{base.rstrip('/')}/v1/{signal.lower()}" if base else ""
    if not url:
        return None
    if not _is_address(url):
        read.problems.append(
            f"The OTLP endpoint for {signal.lower()} must be an http:// or https:// address; none is used."
        )
        return None

    def setting(name: str) -> str:
        return read.text(f"{_PREFIX}{signal}_{name}", f"{_PREFIX}{name}")

    if setting("PROTOCOL") not in {"", "http/protobuf"}:
        read.problems.append(f"{_PREFIX}PROTOCOL must be http/protobuf, which is what is spoken.")
    specific = f"{_PREFIX}{signal}_TIMEOUT"
    return Destination(
        url=url,
        headers=read.pairs(f"{_PREFIX}HEADERS", setting("HEADERS"), ascii_only=True),
        timeout=read.number(specific if read.text(specific) else f"{_PREFIX}TIMEOUT", 10000) / 1000,
        compress=setting("COMPRESSION") == "gzip",
        certificate=setting("CERTIFICATE") or None,
        client_certificate=setting("CLIENT_CERTIFICATE") or None,
        client_key=setting("CLIENT_KEY") or None,
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _sampler(read: _Variables, declared: Telemetry) -> Sampler:
    ratio = read.number("OTEL_TRACES_SAMPLER_ARG", declared.sampling_ratio, least=0, most=1)
    name = read.text("OTEL_TRACES_SAMPLER")
    if name and name not in SAMPLERS:
        read.problems.append(f"OTEL_TRACES_SAMPLER must be one of {', '.join(SAMPLERS)}; it is not used.")
        name = ""
    return named_sampler(name, ratio) if name else Sampler(ratio)


def _resource(read: _Variables) -> Mapping[str, str]:
    resource = read.pairs("OTEL_RESOURCE_ATTRIBUTES", read.text("OTEL_RESOURCE_ATTRIBUTES"))
    name = read.text("OTEL_SERVICE_NAME")
    return {**resource, "service.name": name} if name else resource


def _connection_string(read: _Variables, declared: Telemetry) -> str | None:
    if not declared.azure_monitor and read.text("AML_APP_INSIGHTS_ENABLED").lower() != "true":
        return None
    found = read.text("APPLICATIONINSIGHTS_CONNECTION_STRING")
    key = read.text("AML_APP_INSIGHTS_KEY")
    if found:
        return found
    if key:
        return key if "=" in key else f"InstrumentationKey={key}"
    read.problems.append(
        "Azure Monitor needs APPLICATIONINSIGHTS_CONNECTION_STRING or AML_APP_INSIGHTS_KEY; nothing is sent there."
    )
    return None

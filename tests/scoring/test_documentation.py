"""The pages of serving say what is so."""

from __future__ import annotations

import re
from dataclasses import fields

from tests.scoring.conformance.test_conformance import TABLE
from tests.scoring.environments import ROOT

from mlops_scoring.collection.settings import Collection, DataCollector
from mlops_scoring.configuration import EndpointConfiguration, Probe, RequestSettings, parse_configuration
from mlops_scoring.deployments import Batching, Deployment
from mlops_scoring.telemetry.settings import Telemetry
from mlops_scoring.wire.limits import Limits

PAGES = ("serving.md", "gateway.md", "data-collection.md", "telemetry.md")
DERIVED = {"name", "declared_name", "document"}
"""Attributes that are no settings: they come from the document's keys."""

TEXT = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
GATEWAY = (ROOT / "docs" / "gateway.md").read_text(encoding="utf-8")


def test_the_example_configuration_is_one_and_shows_the_defaults() -> None:
    (example,) = (block for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL) if '"format"' in block)
    (deployment,) = parse_configuration(example).deployments.values()
    assert deployment.request_settings == RequestSettings()
    assert deployment.liveness_probe == deployment.readiness_probe == Probe()


def test_the_limits_are_those_of_the_code() -> None:
    limits = Limits()
    kib, mib = 1024, 1024 * 1024
    for said in (
        f"| `head_bytes` (a trailer too), `headers` | {limits.head_bytes // kib} KiB, {limits.headers} | 431 |",
        f"| `target_bytes` | {limits.target_bytes // kib} KiB | 414 |",
        f"| `body_bytes` | {limits.body_bytes // mib} MiB | 413 |",
        f"| `buffered_bytes` (held of all bodies) | {limits.buffered_bytes // mib} MiB | 503 |",
        f"| `stream_bytes` | {limits.stream_bytes // mib} MiB |",
        f"| `connections` (TLS handshakes included) | {limits.connections}; ",
        f"| `head_seconds` (and a TLS handshake) | {limits.head_seconds} |",
        f"| `body_seconds` (without the time when the gateway does not read) | {limits.body_seconds} | 408 |",
        f"| `idle_seconds` | {limits.idle_seconds} | closed |",
        f"| `slowest_rate`, over `rate_seconds` | {limits.slowest_rate} bytes a second, {limits.rate_seconds} s |",
    ):
        assert said in GATEWAY, said


def test_the_number_of_compared_requests_is_the_tables() -> None:
    assert f"{len(TABLE)} requests are sent to the reference" in TEXT


def test_every_setting_of_a_configuration_is_documented() -> None:
    told = "".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in PAGES)
    settings = (EndpointConfiguration, Deployment, DataCollector, Collection, Telemetry, Batching, Limits)
    names = [field.name for kind in settings for field in fields(kind)]
    assert [name for name in names if f"`{name}`" not in told and f'"{name}"' not in told and name not in DERIVED] == []

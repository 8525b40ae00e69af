"""docs/serving.md says what is so."""

from __future__ import annotations

import re

from tests.scoring.environments import ROOT

from mlops_scoring.configuration import Probe, RequestSettings, parse_configuration
from mlops_scoring.wire.limits import Limits

TEXT = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


def test_the_example_configuration_is_one_and_shows_the_defaults() -> None:
    (example,) = (block for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL) if '"format"' in block)
    (deployment,) = parse_configuration(example).deployments.values()
    assert deployment.request_settings == RequestSettings()
    assert deployment.liveness_probe == deployment.readiness_probe == Probe()


def test_the_limits_are_those_of_the_code() -> None:
    limits = Limits()
    kib, mib = 1024, 1024 * 1024
    for said in (
        f"| headers of a request | {limits.head_bytes // kib} KiB, {limits.headers} of them | 431 |",
        f"| target | {limits.target_bytes // kib} KiB | 414 |",
        f"| body | {limits.body_bytes // mib} MiB | 413 |",
        f"| bodies under way, together | {limits.buffered_bytes // mib} MiB | 503 |",
        f"| connections | {limits.connections:,} | closed |",
        f"| time to send headers, body | {limits.head_seconds} s, {limits.body_seconds} s | 408 |",
        f"| silence between requests | {limits.idle_seconds} s | closed |",
    ):
        assert said in TEXT, said

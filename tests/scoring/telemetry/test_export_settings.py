"""What is declared, merged with OpenTelemetry's variables."""

from __future__ import annotations

import pytest

from mlops_scoring.documents import Fields
from mlops_scoring.telemetry.export_settings import export_settings
from mlops_scoring.telemetry.settings import Telemetry, parse_telemetry

DECLARED = Telemetry("http://declared:4318", 0.5)


def test_nothing_is_sent_unless_it_is_said_where() -> None:
    settings = export_settings(Telemetry(), {"AML_APP_INSIGHTS_KEY": "x"})
    assert not settings.active
    assert settings.problems == ()


def test_defaults_are_those_of_the_specification() -> None:
    settings = export_settings(DECLARED, {})
    assert settings.traces is not None
    assert settings.metrics is not None
    assert settings.traces.url == "http://declared:4318/v1/traces"
    assert settings.metrics.url == "http://declared:4318/v1/metrics"
    assert (settings.traces.timeout, settings.traces.compress) == (10, False)
    assert (settings.span_delay, settings.span_queue, settings.span_batch) == (5, 2048, 512)
    assert settings.metric_interval == 60
    assert (settings.sampler.ratio, settings.sampler.follows_parent) == (0.5, True)


def test_a_signals_own_variables_win_over_the_common_ones_and_those_over_the_declaration() -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://common:1/x/",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://traces:2/as/it/is",
        "OTEL_EXPORTER_OTLP_HEADERS": "a=common",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "a=traces, b=%20x",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2000",
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "500",
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
    }
    settings = export_settings(DECLARED, environment)
    assert settings.traces is not None
    assert settings.metrics is not None
    assert settings.traces.url == "https://traces:2/as/it/is"
    assert settings.metrics.url == "http://common:1/x/v1/metrics"
    assert (settings.traces.headers, settings.metrics.headers) == ({"a": "traces", "b": " x"}, {"a": "common"})
    assert (settings.traces.timeout, settings.metrics.timeout) == (2, 0.5)
    assert (settings.sampler.ratio, settings.sampler.follows_parent) == (0.1, False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http:///v1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x:99999"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "novalue"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=x%0d%0aevil: 1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=✓"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "nan"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_RESOURCE_ATTRIBUTES", "x"),
    ],
)
def test_what_cannot_be_used_is_told_without_its_value_and_the_rest_holds(name: str, text: str) -> None:
    settings = export_settings(DECLARED, {name: text})
    assert len(set(settings.problems)) >= 1
    assert all(text not in problem for problem in settings.problems if text not in {"x", "0", "2", "-1"})
    assert settings.span_queue == 2048


def test_the_share_of_the_access_log_is_declared_or_a_variable() -> None:
    assert export_settings(Telemetry(access_log=0.5), {}).access_log == 0.5
    assert export_settings(Telemetry(access_log=0.5), {"MLOPS_ACCESS_LOG": "0.1"}).access_log == 0.1
    wrong = export_settings(Telemetry(), {"MLOPS_ACCESS_LOG": "yes"})
    assert wrong.access_log == 0
    assert len(wrong.problems) == 1


def test_signals_are_turned_off_apart_and_together() -> None:
    assert export_settings(DECLARED, {"OTEL_TRACES_EXPORTER": "none"}).traces is None
    assert export_settings(DECLARED, {"OTEL_METRICS_EXPORTER": "none"}).metrics is None
    assert not export_settings(DECLARED, {"OTEL_SDK_DISABLED": "TRUE"}).active


@pytest.mark.parametrize(
    ("declared", "environment", "expected"),
    [
        (True, {"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=a", "AML_APP_INSIGHTS_KEY": "b"}, "a"),
        (True, {"AML_APP_INSIGHTS_KEY": "b"}, "b"),
        (False, {"AML_APP_INSIGHTS_ENABLED": "true", "AML_APP_INSIGHTS_KEY": "b"}, "b"),
        (False, {"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=a"}, None),
    ],
)
def test_azure_monitors_key_is_found(declared: bool, environment: dict[str, str], expected: str | None) -> None:  # noqa: FBT001
    settings = export_settings(Telemetry(azure_monitor=declared), environment)
    assert settings.azure_monitor == (None if expected is None else f"InstrumentationKey={expected}")
    assert "InstrumentationKey" not in repr(settings)


def test_the_document_is_checked_whole() -> None:
    problems: list[str] = []
    document = {
        "otlp_endpoint": "collector:4317",
        "sampling_ratio": 2,
        "azure_monitor": "yes",
        "access_log": -1,
        "x": 1,
    }
    parse_telemetry(Fields(document, "telemetry", problems))
    assert sorted(problem.partition(":")[0] for problem in problems) == [
        "telemetry.access_log",
        "telemetry.azure_monitor",
        "telemetry.otlp_endpoint",
        "telemetry.sampling_ratio",
        "telemetry.x",
    ]

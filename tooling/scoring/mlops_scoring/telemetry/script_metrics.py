"""A script's own metrics, made with OpenTelemetry's API or with `prometheus_client`, where it has imported them.

With OpenTelemetry's API, `opentelemetry-sdk` has to be in the environment too (extra `telemetry`), and the script must
not have set up a provider of its own. Exponential histograms are left out.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from mlops_scoring.telemetry.families import Distribution, Family, Labels, Point
from mlops_scoring.telemetry.spans import Attributes

MAX_FAMILIES = 200
"""Names that a script may make."""

MAX_POINTS = 1000
"""Values of one of them, each with labels of its own."""

_log = logging.getLogger("mlops_scoring.telemetry")


def has_sdk() -> bool:
    """Whether the script uses OpenTelemetry's API and the SDK is there."""
    return "opentelemetry" in sys.modules and importlib.util.find_spec("opentelemetry.sdk") is not None


def open_telemetry_metrics(resource: Attributes) -> Callable[[], Iterable[Family]] | None:
    """Become the provider of OpenTelemetry's metrics.

    Returns:
        What reads them; None where the script does not use them, or has a provider of its own.
    """
    if "opentelemetry.metrics" not in sys.modules or not has_sdk():
        return None
    api = sys.modules["opentelemetry.metrics"]
    if type(api.get_meter_provider()).__name__ != "_ProxyMeterProvider":
        return None
    metrics = importlib.import_module("opentelemetry.sdk.metrics")
    export = importlib.import_module("opentelemetry.sdk.metrics.export")
    resources = importlib.import_module("opentelemetry.sdk.resources")
    reader = export.InMemoryMetricReader()
    provider = metrics.MeterProvider([reader], resources.Resource(dict(resource)), shutdown_on_exit=False)
    api.set_meter_provider(provider)
    return lambda: list(_families(reader.get_metrics_data()))


def _families(data: Any) -> Iterator[Family]:  # noqa: ANN401 - the SDK's MetricsData, or None
    seen: set[str] = set()
    for group in data.resource_metrics if data is not None else ():
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                family = _family(metric)
                if family is not None and family.name not in seen and len(seen) < MAX_FAMILIES:
                    seen.add(family.name)
                    yield family


def _family(metric: Any) -> Family | None:  # noqa: ANN401 - the SDK's Metric
    points = metric.data.data_points[:MAX_POINTS]
    text, unit = metric.description or metric.name, metric.unit or "1"
    match type(metric.data).__name__:
        case "Sum":
            kept = tuple(Point(_labels(point.attributes), point.value) for point in points)
            return Family(metric.name, "counter" if metric.data.is_monotonic else "gauge", text, kept, unit)
        case "Gauge":
            kept = tuple(Point(_labels(point.attributes), point.value) for point in points)
            return Family(metric.name, "gauge", text, kept, unit)
        case "Histogram":
            kept = tuple(
                Point(_labels(p.attributes), Distribution(p.explicit_bounds, p.bucket_counts, p.sum)) for p in points
            )
            return Family(metric.name, "histogram", text, kept, unit)
        case _:
            return None


def _labels(attributes: Any) -> Labels:  # noqa: ANN401 - a mapping of OpenTelemetry's values
    return tuple(sorted((str(name), str(value)) for name, value in (attributes or {}).items()))


class _Without:
    """The default registry without some names."""

    def __init__(self, registry: Any, names: Collection[str]) -> None:  # noqa: ANN401 - a CollectorRegistry
        self._registry = registry
        self._names = names

    def collect(self) -> Iterator[Any]:
        """What the others have."""
        return (metric for metric in self._registry.collect() if metric.name not in self._names)


def prometheus_text(taken: Collection[str]) -> bytes:
    """What `prometheus_client`'s default registry has, where the script has imported it; may take long, may be wrong.

    Args:
        taken: Names of families that are ours; the script's are left out, for two of a name are an error.
    """
    client = sys.modules.get("prometheus_client")
    if client is None:
        return b""
    try:
        text: bytes = client.generate_latest(_Without(client.REGISTRY, taken))
    except Exception:  # noqa: BLE001 - a script's collectors raise anything
        _log.exception("the script's metrics cannot be read")
        return b""
    return text

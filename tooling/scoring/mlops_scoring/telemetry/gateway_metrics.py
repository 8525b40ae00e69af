"""What the gateway counts, as families; `gateway/figures.py` has the meanings."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlops_scoring import __version__
from mlops_scoring.gateway.figures import BOUNDS, DeploymentFigures, GatewayFigures
from mlops_scoring.telemetry.families import Distribution, Family, Kind, Point, counter, gauge
from mlops_scoring.telemetry.process import process_families

_Value = Callable[[DeploymentFigures], float | Distribution]

_BY_DEPLOYMENT: tuple[tuple[str, Kind, str, str, _Value], ...] = (
    (
        "mlops_gateway_request_duration_seconds",
        "histogram",
        "s",
        "From the whole request to the written answer.",
        lambda found: Distribution(BOUNDS, found.buckets, found.seconds),
    ),
    (
        "mlops_gateway_queue_duration_seconds",
        "histogram",
        "s",
        "Time in which requests waited for a worker.",
        lambda found: Distribution(BOUNDS, found.wait_buckets, found.wait_seconds),
    ),
    (
        "mlops_gateway_queue_full",
        "counter",
        "{request}",
        "Requests without a worker in time (429).",
        lambda f: f.queue_full,
    ),
    ("mlops_gateway_timed_out", "counter", "{request}", "Requests that took too long (504).", lambda f: f.timed_out),
    ("mlops_gateway_retried", "counter", "{request}", "Requests given to a second worker.", lambda f: f.retried),
    ("mlops_gateway_streamed", "counter", "{request}", "Requests passed on as they came.", lambda f: f.streamed),
    ("mlops_gateway_mirrored", "counter", "{request}", "Copies sent to it.", lambda f: f.mirrored),
    ("mlops_gateway_mirror_errors", "counter", "{request}", "Copies that failed.", lambda f: f.mirror_errors),
    ("mlops_gateway_mirror_dropped", "counter", "{request}", "Copies not sent.", lambda f: f.mirror_dropped),
    ("mlops_gateway_in_flight", "gauge", "{request}", "Requests that workers have now.", lambda f: f.in_flight),
    ("mlops_gateway_waiting", "gauge", "{request}", "Requests that wait for a worker now.", lambda f: f.waiting),
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Workers of one deployment.

    Attributes:
        ready: Those that take requests.
        wanted: As many as are declared.
        restarts: Ends and failed starts since the supervisor began.
        state: Its state in words, one of a closed set.
    """

    ready: int
    wanted: int
    restarts: int
    state: str


def gateway_families(figures: GatewayFigures, fleets: Mapping[str, Fleet], traffic: Mapping[str, int]) -> list[Family]:
    """All values of the gateway and the supervisor, this process' own included."""
    families = [_requests(figures.deployments)]
    families += [
        Family(name, kind, text, tuple(Point(_labels(live), value(f)) for live, f in figures.deployments.items()), unit)
        for name, kind, unit, text, value in _BY_DEPLOYMENT
    ]
    refusals = tuple(Point((("status", str(status)),), count) for status, count in sorted(figures.refusals.items()))
    families += [
        Family(
            "mlops_gateway_refused", "counter", "Requests refused before a deployment had them.", refusals, "{request}"
        ),
        gauge("mlops_gateway_connections", "Open client connections.", figures.connections, "{connection}"),
        counter(
            "mlops_gateway_connections_refused",
            "Connections closed because there were too many.",
            figures.connections_refused,
            "{connection}",
        ),
        counter(
            "mlops_gateway_handshakes_failed",
            "TLS connections that never came about.",
            figures.handshakes_failed,
            "{connection}",
        ),
        gauge("mlops_gateway_buffered_bytes", "Bodies held now.", figures.buffered_bytes, "By"),
        *_fleet_families(fleets),
        Family(
            "mlops_gateway_traffic_percent",
            "gauge",
            "Weights in force.",
            tuple(Point(_labels(live), weight) for live, weight in traffic.items()),
            "%",
        ),
        _build(),
        *process_families(),
    ]
    return families


def _labels(live: str) -> tuple[tuple[str, str], ...]:
    return (("deployment", live),)


def _requests(deployments: Mapping[str, DeploymentFigures]) -> Family:
    points = tuple(
        Point((*_labels(live), ("status", status)), count)
        for live, found in deployments.items()
        for status, count in found.statuses.items()
    )
    return Family("mlops_gateway_requests", "counter", "Requests answered or given up.", points, "{request}")


def _fleet_families(fleets: Mapping[str, Fleet]) -> list[Family]:
    def family(name: str, kind: Kind, text: str, value: Callable[[Fleet], int]) -> Family:
        points = tuple(Point(_labels(live), value(fleet)) for live, fleet in fleets.items())
        return Family(f"mlops_workers_{name}", kind, text, points, "{worker}")

    states = tuple(Point((*_labels(live), ("state", fleet.state)), 1) for live, fleet in fleets.items())
    return [
        family("ready", "gauge", "Workers that take requests.", lambda fleet: fleet.ready),
        family("wanted", "gauge", "Workers declared.", lambda fleet: fleet.wanted),
        family("restarts", "counter", "Ends and failed starts of workers.", lambda fleet: fleet.restarts),
        Family("mlops_deployment_state", "gauge", "The deployment's state; always 1.", states),
    ]


def _build() -> Family:
    labels = (("python", platform.python_version()), ("version", __version__))
    return Family("mlops_gateway_build_info", "gauge", "What serves; always 1.", (Point(labels, 1),))

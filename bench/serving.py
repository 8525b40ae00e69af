"""Our server, asked directly and through the gateway, beside azureml-inference-server-http and a bare uvicorn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import servers
from bench.servers import Server
from bench.table import Row

ROUNDS = 5
SECONDS = 3
CONNECTIONS = (1, 16)
AZURE = "azureml-inference-server-http"


@dataclass
class Figures:
    """What was seen of one server, round by round."""

    rates: dict[int, list[float]] = field(default_factory=dict)
    p50: dict[int, list[float]] = field(default_factory=dict)
    memory: float = 0.0
    failures: int = 0

    def rate(self, connections: int) -> float:
        """Median requests a second."""
        return statistics.median(self.rates[connections])

    def middle(self, connections: int) -> float:
        """Median of the rounds' p50 in milliseconds."""
        return statistics.median(self.p50[connections])


def measure(found: Mapping[str, Server], body: bytes, connections: tuple[int, ...] = CONNECTIONS) -> dict[str, Figures]:
    """Ask several servers in turn, round by round, so that all see the same state of the machine."""
    figures = {name: Figures() for name in found}
    for name, server in found.items():
        servers.load(server, body, max(connections), 1)  # warm
        figures[name].memory = server.memory()
    for _ in range(ROUNDS):
        for count in connections:
            for name, server in found.items():
                report = servers.load(server, body, count, SECONDS)
                figures[name].rates.setdefault(count, []).append(report["requests_per_second"])
                figures[name].p50.setdefault(count, []).append(report["p50"])
                figures[name].failures += report["failures"]
    for name, server in found.items():
        figures[name].memory = max(figures[name].memory, server.memory())
    return figures


def rows(folder: Path) -> Iterator[Row]:
    """All rows."""
    python = servers.our_python()
    models, body = servers.measured_models(python, folder)
    with servers.telemetry_sink() as sink:
        yield from _beside_azure(folder, python, models, body, sink)
        yield from _starts(folder, python, models, body, sink)
    yield from _runtimes(folder, python, models, body)


def _beside_azure(folder: Path, python: str, models: Path, body: bytes, sink: str) -> Iterator[Row]:
    model = models / "regression-sklearn"
    with ExitStack() as stack:

        def on(name: str) -> dict[str, object]:
            return servers.deployment(python, model, **servers.everything_on(folder / name, sink))

        found = {
            "azure": stack.enter_context(servers.azure_server(folder / "azure", model, body)),
            "worker": stack.enter_context(servers.our_worker(folder / "worker", on("worker"), body)),
            "gateway": stack.enter_context(
                servers.our_endpoint(folder / "gateway", {"blue": on("gateway")}, {"blue": 100}, body)
            ),
        }
        figures = measure(found, body)
    azure, worker, gateway = (figures[name] for name in ("azure", "worker", "gateway"))
    for label, ours, least, most in (("worker asked directly", worker, 1.8, 0.75), ("gateway", gateway, 1.3, 0.95)):
        for count in CONNECTIONS:
            what = f"{label}, metrics, capture and tracing on, {count} connection{'s'[: count > 1]}"
            yield _times(what, ours.rate(count), azure.rate(count), least, AZURE)
        share = ours.memory / azure.memory
        peer = f"{azure.memory:.0f} MiB, {AZURE}"
        bar = f"at most {most} of the peer"
        yield Row(f"{label}: memory of all processes", f"{ours.memory:.0f} MiB", peer, bar, share <= most)
    yield from _gateway_cost(worker, gateway)
    failures = worker.failures + gateway.failures
    yield Row("failed requests of these rows", str(failures), bar="0", kept=failures == 0)


def _gateway_cost(worker: Figures, gateway: Figures) -> Iterator[Row]:
    added = gateway.middle(1) - worker.middle(1)
    peer = f"{worker.middle(1):.2f} ms without it"
    yield Row("gateway: added to p50, 1 connection", f"{added:.2f} ms", peer, "at most 0.25 ms", added <= 0.25)
    for count in CONNECTIONS:
        lost = 1 - gateway.rate(count) / worker.rate(count)
        what = f"gateway: throughput lost, {count} connection{'s'[: count > 1]}"
        peer = f"{worker.rate(count):,.0f} /s without it"
        yield Row(what, f"{lost:.0%}", peer, "at most 35 %", lost <= 0.35)


def _starts(folder: Path, python: str, models: Path, body: bytes, sink: str) -> Iterator[Row]:
    model = models / "regression-sklearn"
    on = servers.deployment(python, model, **servers.everything_on(folder / "start", sink))
    begins = (
        lambda: servers.our_worker(folder / "start", on, body),
        lambda: servers.bare_server(folder / "bare", model, body),
    )
    # In turn, so that what else the machine does meets both.
    rounds = [[_start(begin) for begin in begins] for _ in range(ROUNDS + 1)]
    ours, bare = map(statistics.median, zip(*rounds[1:], strict=True))  # the first one reads packages from the disk
    peer = f"{bare:.2f} s, bare uvicorn with the same imports"
    yield Row("start to first answer, all on", f"{ours:.2f} s", peer, "at most 1.2 times the peer", ours <= 1.2 * bare)


def _start(begin: Callable[[], AbstractContextManager[Server]]) -> float:
    with begin() as server:
        return server.started


def _runtimes(folder: Path, python: str, models: Path, body: bytes) -> Iterator[Row]:
    names = {"forest": (10.0, "random forest of 100 trees"), "regression": (1.4, "logistic regression")}
    for name, (least, label) in names.items():
        with ExitStack() as stack:
            found = {}
            for runtime in ("sklearn", "onnx"):
                model = models / f"{name}-{runtime}"
                options = {"runtime": runtime, "scoring_script": None, "code_directory": None}
                document = servers.deployment(python, model, **options)
                place = folder / f"{name}-{runtime}"
                found[runtime] = stack.enter_context(servers.our_worker(place, document, body))
            figures = measure(found, body, (1,))
        what = f"ONNX without a script, {label}, 1 connection"
        yield _times(what, figures["onnx"].rate(1), figures["sklearn"].rate(1), least, "scikit-learn, same server")


def _times(what: str, ours: float, peer: float, least: float, name: str) -> Row:
    bar = f"at least {least:g} times the peer"
    text = f"{ours:,.0f} /s ({ours / peer:.1f} times)"
    return Row(what, text, f"{peer:,.0f} /s, {name}", bar, ours >= least * peer)

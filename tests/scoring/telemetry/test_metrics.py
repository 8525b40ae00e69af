"""Metrics as Prometheus reads them, from real endpoints; and texts of workers that mean harm."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from tests.scoring.rig import Supervised, ask, await_truth, make_code, make_deployment
from tests.scoring.telemetry.admin import start_with_admin

from mlops_scoring.telemetry.exposition import render
from mlops_scoring.telemetry.families import Distribution, Family, Point
from mlops_scoring.telemetry.joining import MAX_LINES, Joined

SLOW = """
import os, threading
def init(): pass
def run(data):
    while not os.path.exists(os.environ["GATE"]):
        threading.Event().wait(0.01)
    threading.Event().wait(0.3)
    if data == "boom":
        raise ValueError("no")
    return 1
"""


def read(text: bytes | str) -> dict[str, Metric]:
    """Parse as Prometheus does, and refuse what it would: a name or a series that is there twice."""
    families = list(text_string_to_metric_families(text if isinstance(text, str) else text.decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
    for family in families:
        series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(series) == len(set(series)), family
    return {family.name: family for family in families}


def values(family: Metric, **labels: str) -> list[float]:
    return [s.value for s in family.samples if labels.items() <= s.labels.items() and not s.name.endswith("_created")]


def scrape(endpoint: Supervised) -> dict[str, Metric]:
    answer = ask(endpoint.admin, "GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return read(answer.body)


def test_an_endpoint_shows_its_gateway_and_all_workers_in_one_text(supervised: Supervised, tmp_path: Path) -> None:
    code = make_code(tmp_path / "code")
    deployments = {"blue-1": make_deployment(code, instance_count=2), "green-1": make_deployment(code)}
    supervised.start(supervised.document(deployments, {"blue-1": 90, "green-1": 10}))
    for name in deployments:
        supervised.await_state(name, "Healthy")
    assert [supervised.score().status for _ in range(100)] == [200] * 100
    found: dict[str, Metric] = {}

    def all_told() -> bool:
        """A thread that has a client on loan counts after its answer; a worker that is slow to say it is left out."""
        found.update(scrape(supervised))
        told = values(found["mlops_worker_requests"]) if "mlops_worker_requests" in found else []
        return values(found["mlops_worker_up"]) == [1] * 3 and sum(told) == 100

    await_truth(all_told, "every worker says what it counted")
    assert values(found["mlops_gateway_requests"], deployment="blue-1", status="2xx") == [90]
    assert values(found["mlops_gateway_requests"], deployment="green-1", status="2xx") == [10]
    assert sum(values(found["mlops_worker_requests"], deployment="blue-1", dialect="azureml", status="2xx")) == 90
    workers = {(s.labels["deployment"], s.labels["worker"]) for s in found["mlops_worker_up"].samples if s.value == 1}
    assert workers == {("blue-1", "0"), ("blue-1", "1"), ("green-1", "0")}
    assert values(found["mlops_workers_ready"], deployment="blue-1") == [2]
    assert len(values(found["process_resident_memory_bytes"])) == 4
    durations = found["mlops_gateway_request_duration_seconds"]
    counts = [s.value for s in durations.samples if s.labels.get("le") == "+Inf" and s.labels["deployment"] == "blue-1"]
    assert counts == [90]
    assert ask(supervised.port, "GET", "/metrics").status == 404, "clients do not get metrics"


def test_a_worker_that_hangs_is_left_out_of_a_scrape_and_holds_nobody_up(serving: Supervised) -> None:
    pid = serving.score().json["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        found = scrape(serving)
        assert values(found["mlops_worker_up"], deployment="blue-1", worker="0") == [0]
        assert values(found["mlops_gateway_requests"], deployment="blue-1", status="2xx") == [1]
    finally:
        os.kill(pid, signal.SIGCONT)

    def is_back() -> bool:
        return values(scrape(serving)["mlops_worker_up"], deployment="blue-1", worker="0") == [1]

    await_truth(is_back, "the worker answers again")


def test_a_dead_workers_restart_is_counted_and_metrics_go_on(serving: Supervised) -> None:
    os.kill(serving.score().json["pid"], signal.SIGKILL)
    await_truth(lambda: serving.report("blue-1")["restarts"] == 1, "the restart")
    serving.await_state("blue-1", "Healthy")
    assert values(scrape(serving)["mlops_workers_restarts"], deployment="blue-1") == [1]


def test_a_worker_counts_what_waits_what_runs_and_what_fails(short_path: Path) -> None:
    settings = {"request_timeout_ms": 60000, "max_concurrent_requests_per_instance": 1, "max_queue_wait_ms": 60000}
    gate = short_path / "gate"
    variables = {"GATE": str(gate)}
    with start_with_admin(short_path, SLOW, request_settings=settings, environment_variables=variables) as worker:
        from threading import Thread  # noqa: PLC0415 - beside what uses it

        senders = [Thread(target=worker.score, args=(body,)) for body in ("", "", "boom")]
        for sender in senders:
            sender.start()
        waiting = "mlops_worker_in_flight 1", "mlops_worker_queue_length 2"
        await_truth(lambda: set(waiting) <= set(worker.metrics().splitlines()), "one runs and two wait")
        gate.touch()
        for sender in senders:
            sender.join()
        await_truth(lambda: "mlops_worker_in_flight 0" in worker.metrics(), "none runs")
        found = read(worker.metrics())
        assert values(found["mlops_worker_run_failures"]) == [1]
        assert values(found["mlops_worker_requests"], status="5xx") == [1]
        run = {s.name: s.value for s in found["mlops_worker_run_duration_seconds"].samples if not s.labels}
        assert run["mlops_worker_run_duration_seconds_count"] == 3
        assert run["mlops_worker_run_duration_seconds_sum"] >= 0.9
        assert values(found["mlops_worker_init_seconds"])[0] > 0


def test_nothing_that_a_client_says_becomes_a_label(short_path: Path) -> None:
    with start_with_admin(short_path, "def init(): pass\ndef run(data): return 1\n") as worker:
        before = len(worker.metrics())
        for number in range(50):
            worker.score("{}", x_request_id=f"id-{number}", user_agent=f"agent-{number}")
            worker.admin_status(f"/nothing-{number}")
        text = worker.metrics()
        assert "agent-" not in text
        assert "id-" not in text
        assert "nothing-" not in text
        assert len(text) < before + 400


@given(
    st.text(),
    st.lists(st.tuples(st.sampled_from(["a", "b", "le2"]), st.text()), unique_by=lambda pair: pair[0]),
    st.floats(),
)
def test_any_text_and_number_is_read_back_as_it_was(
    help_text: str, labels: list[tuple[str, str]], value: float
) -> None:
    family = Family("x", "gauge", help_text, (Point(tuple(labels), value),))
    sample = read(render([family]).decode())["x"].samples[0]
    clean = {name: text.encode(errors="replace").decode() for name, text in labels}
    assert sample.labels == clean
    assert sample.value == value or (math.isnan(sample.value) and math.isnan(value))


def test_histograms_are_cumulative_and_end_at_infinity() -> None:
    family = Family("h", "histogram", "H.", (Point((), Distribution((0.1, 1.0), (2, 3, 4), 12.5)),), "s")
    samples = {(s.name, s.labels.get("le")): s.value for s in read(render([family]))["h_seconds"].samples}
    assert samples == {
        ("h_seconds_bucket", "0.1"): 2,
        ("h_seconds_bucket", "1.0"): 5,
        ("h_seconds_bucket", "+Inf"): 9,
        ("h_seconds_sum", None): 12.5,
        ("h_seconds_count", None): 9,
    }


LABELS = (("deployment", "blue-1"), ("worker", "0"))


def joined(text: str) -> str:
    found = Joined()
    found.add(b"# HELP own Ours.\n# TYPE own gauge\nown 1\n")
    found.add(text.encode(), LABELS)
    return found.text().decode()


def test_a_worker_cannot_speak_for_another_one() -> None:
    text = 'stolen{deployment="green-1",worker="9"} 5\nown{x=",worker=\\"7\\"",worker="1",} 2\n'
    found = read(joined(text))
    assert found["stolen"].samples[0].labels == {
        "exported_deployment": "green-1",
        "exported_worker": "9",
        "deployment": "blue-1",
        "worker": "0",
    }
    assert found["own"].samples[1].labels["worker"] == "0"
    assert found["own"].samples[1].labels["x"] == ',worker="7"'


def test_lines_that_are_none_are_left_out() -> None:
    bad = [
        "x{ 1",
        "x} 1",
        'x{a="1" 1',
        "1x 1",
        "x one",
        'x{a="\\q"} 1',
        "x",
        "x 1 2 3",
        'x{a="1"}',
        "\x00 1",
        "x\x85 1",
    ]
    assert read(joined("\n".join(bad) + "\nfine 1\n")).keys() == {"own", "fine"}


def test_a_worker_with_endless_metrics_is_cut_off() -> None:
    found = Joined()
    found.add("".join(f'many{{n="{n}"}} 1\n' for n in range(2 * MAX_LINES)).encode(), LABELS)
    assert found.text().count(b"\nmany{") == MAX_LINES
    assert found.left_out == MAX_LINES


@given(st.text(alphabet=st.sampled_from('ax{}"\\=,# \n1eE+-.TYPEHELP\x85\u2028'), max_size=200))
def test_whatever_a_worker_writes_the_whole_stays_readable(text: str) -> None:
    found = Joined()
    found.add(b"# HELP own Ours.\n# TYPE own gauge\nown 1\n")
    found.add(text.encode(), LABELS)
    for line in found.text().decode().split("\n"):
        assert line.startswith(("#", "own 1")) or not line or 'deployment="blue-1",worker="0"' in line
    list(text_string_to_metric_families(found.text().decode()))

"""Other telemetry under a live name: workers are replaced one by one, and nobody notices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.scoring.load import Target, background
from tests.scoring.rig import Supervised, await_truth, make_code, make_deployment
from tests.scoring.telemetry.collector import Collector, listen

GATED = """
import os, time

def init():
    with open("began", "a") as file:
        file.write("b")
    while not os.path.exists("go"):
        time.sleep(0.01)

def run(data):
    return os.getpid()
"""
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRICS_EXPORTER": "none"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with listen(Collector()) as receiving:
        yield receiving


@pytest.fixture
def gated(tmp_path: Path) -> Path:
    """A script that starts while there is a file `go`."""
    folder = make_code(tmp_path / "gated", GATED)
    (folder / "go").touch()
    return folder


def document(supervised: Supervised, code: Path, count: int, endpoint: str | None) -> dict[str, object]:
    telemetry = {} if endpoint is None else {"telemetry": {"otlp_endpoint": endpoint}}
    deployment = make_deployment(code, instance_count=count, environment_variables=QUICK, **telemetry)
    return supervised.document({"blue-1": deployment}, {"blue-1": 100}, {"blue": "blue-1"})


def await_ends(supervised: Supervised, pids: set[int]) -> None:
    await_truth(lambda: not pids & supervised.worker_pids(), "the workers that were replaced have ended")


def test_workers_are_replaced_without_a_lost_request(supervised: Supervised, code: Path, collector: Collector) -> None:
    supervised.start(document(supervised, code, 2, None))
    supervised.await_settled()
    before = supervised.worker_pids()
    with background(Target(supervised.port), connections=8) as load:
        load.wait_for_more(50)
        assert supervised.put(document(supervised, code, 2, collector.url)).status == 200
        supervised.await_settled()
        load.wait_for_more(50)
    report = load.report()
    assert (report.failures, dict(report.reasons)) == (0, {})
    await_ends(supervised, before)
    assert len(supervised.worker_pids()) == 2
    collector.wait(lambda: {s.resource["process.pid"] for s in collector.spans} == supervised.worker_pids(), "spans")
    assert supervised.report("blue-1")["restarts"] == 0


def test_what_a_worker_is_started_with_is_no_reason_to_replace_it(serving: Supervised) -> None:
    """The same telemetry, or another gateway's: nothing of the workers has changed."""
    before = serving.worker_pids()
    changed = {**serving.status()["configuration"], "telemetry": {"access_log": 0.5}}
    changed["deployments"]["blue-1"]["telemetry"] = {"sampling_ratio": 1}
    assert serving.put(changed).status == 200
    serving.await_settled()
    assert serving.worker_pids() == before


def test_where_no_successor_starts_what_serves_goes_on(
    supervised: Supervised, gated: Path, collector: Collector
) -> None:
    supervised.start(document(supervised, gated, 2, None))
    supervised.await_settled()
    before = supervised.worker_pids()
    (gated / "go").unlink()
    assert supervised.put(document(supervised, gated, 2, collector.url)).status == 200
    await_truth(lambda: len(supervised.worker_pids()) == 3, "one successor begins")
    report = supervised.report("blue-1")
    assert (report["state"], report["ready"], report["wanted"]) == ("Healthy", 2, 2)
    assert supervised.status()["settled"] is False
    assert {supervised.score().json for _ in range(4)} <= before
    (gated / "go").touch()
    supervised.await_settled()
    await_ends(supervised, before)
    assert len(supervised.worker_pids()) == 2


def test_another_change_while_workers_are_replaced_holds_for_all(
    supervised: Supervised, gated: Path, collector: Collector
) -> None:
    """The successor under way has what nobody wants any more; and of three places one is left."""
    supervised.start(document(supervised, gated, 3, None))
    supervised.await_settled()
    before = supervised.worker_pids()
    (gated / "go").unlink()
    assert supervised.put(document(supervised, gated, 3, "http://127.0.0.1:9")).status == 200
    await_truth(lambda: len(supervised.worker_pids()) == 4, "one successor begins")
    stale = supervised.worker_pids() - before
    assert supervised.put(document(supervised, gated, 1, collector.url)).status == 200
    await_ends(supervised, stale)
    (gated / "go").touch()
    supervised.await_settled()
    await_ends(supervised, before)
    (left,) = supervised.worker_pids()
    assert supervised.score().json == left
    collector.wait(lambda: collector.spans, "the last worker's span")


def test_a_deployment_that_leaves_meanwhile_takes_the_successor_along(supervised: Supervised, gated: Path) -> None:
    supervised.start(document(supervised, gated, 1, None))
    supervised.await_settled()
    (gated / "go").unlink()
    assert supervised.put(document(supervised, gated, 1, "http://127.0.0.1:9")).status == 200
    await_truth(lambda: (gated / "began").read_text() == "bb", "the successor begins")
    assert supervised.put(supervised.document({}, {})).status == 200
    await_truth(lambda: not supervised.worker_pids(), "neither is left")
    await_truth(lambda: supervised.status()["settled"], "and that is all")


def test_workers_that_start_later_have_it_too(supervised: Supervised, gated: Path, collector: Collector) -> None:
    """Also those of a supervisor that is started again with what it was told."""
    supervised.start(document(supervised, gated, 1, None))
    supervised.await_settled()
    assert supervised.put(document(supervised, gated, 1, collector.url)).status == 200
    supervised.await_settled()
    supervised.stop()
    supervised.start()
    supervised.await_settled()
    (pid,) = supervised.worker_pids()
    assert supervised.score().json == pid
    collector.wait(lambda: [s for s in collector.spans if s.resource["process.pid"] == pid], "its span")


def test_what_cannot_be_kept_is_not_what_workers_are_started_with(supervised: Supervised, code: Path) -> None:
    supervised.start(document(supervised, code, 1, None))
    supervised.await_settled()
    before, kept = supervised.worker_pids(), supervised.directory / "configuration.json"
    started_with = (supervised.directory / "run" / "blue-1.json").read_bytes()
    kept.unlink()
    kept.mkdir()
    assert supervised.put(document(supervised, code, 1, "http://127.0.0.1:9")).status == 507
    assert (supervised.directory / "run" / "blue-1.json").read_bytes() == started_with
    assert (supervised.status()["settled"], supervised.worker_pids()) == (True, before)

"""Changes of configuration: no request is lost, nothing half-made gets traffic, nothing else is accepted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.scoring.load import Target, background
from tests.scoring.processes import is_running
from tests.scoring.rig import Supervised, ask, await_truth, held, make_code, make_deployment

ONE_AT_A_TIME = {
    "request_timeout_ms": 60000,
    "max_concurrent_requests_per_instance": 1,
    "max_queue_wait_ms": 60000,
}


def test_no_request_is_lost_through_ten_changes(supervised: Supervised, code: Path) -> None:
    """Eight clients, ten changes one after another: new content, weights, worker counts, and back."""

    def deployment(name: str, count: int) -> dict[str, object]:
        return make_deployment(
            code, instance_count=count, environment_variables={"NAME": name}, request_settings=ONE_AT_A_TIME
        )

    steps: list[tuple[dict[str, int], dict[str, int]]] = [
        ({"blue-1": 1, "blue-2": 1}, {"blue-1": 90, "blue-2": 10}),
        ({"blue-1": 1, "blue-2": 2}, {"blue-1": 50, "blue-2": 50}),
        ({"blue-2": 2}, {"blue-2": 100}),
        ({"blue-3": 1}, {"blue-3": 100}),
        ({"blue-3": 3}, {"blue-3": 100}),
        ({"blue-3": 1}, {"blue-3": 100}),
        ({"blue-3": 1, "green-1": 1}, {"blue-3": 100, "green-1": 0}),
        ({"blue-3": 1, "green-1": 1}, {"blue-3": 0, "green-1": 100}),
        ({"blue-1": 2}, {"blue-1": 100}),
        ({"blue-4": 1}, {"blue-4": 100}),
    ]
    supervised.start(supervised.document({"blue-1": deployment("blue-1", 1)}, {"blue-1": 100}))
    supervised.await_settled()
    with background(Target(supervised.port), connections=8) as load:
        for counts, traffic in steps:
            deployments = {name: deployment(name, count) for name, count in counts.items()}
            assert supervised.put(supervised.document(deployments, traffic)).status == 200
            load.wait_for_more(50)
            supervised.await_settled()
            assert supervised.status()["traffic_in_force"] == traffic
            load.wait_for_more(50)
        await_truth(lambda: len(supervised.worker_pids()) == 1, "all others have ended")
    report = load.report()
    assert (report.failures, dict(report.reasons)) == (0, {})
    assert report.total >= 1000
    assert set(report.deployments) == {"blue-1", "blue-2", "blue-3", "blue-4", "green-1"}


def test_the_old_serves_until_the_new_is_ready(supervised: Supervised, code: Path, tmp_path: Path) -> None:
    source = "import os, time\ndef init():\n    while not os.path.exists('go'): time.sleep(0.01)\n"
    source += "def run(data): return 'new'\n"
    new = make_code(tmp_path / "new", source)
    supervised.start(supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 100}, {"blue": "blue-1"}))
    supervised.await_settled()
    change = supervised.document({"blue-2": make_deployment(new)}, {"blue-2": 100}, {"blue": "blue-2"})
    assert supervised.put(change).status == 200
    status = supervised.status()
    assert (status["traffic_in_force"], status["settled"]) == ({"blue-1": 100}, False)
    assert status["deployments"]["blue-2"]["state"] == "Transitioning"
    for headers in ({}, {"azureml_model_deployment": "blue"}):
        assert supervised.score(**headers).headers["azureml-model-deployment"] == "blue-1"
    (new / "go").touch()
    supervised.await_settled()
    for headers in ({}, {"azureml_model_deployment": "blue"}):
        assert supervised.score(**headers).json == "new"
    assert list(supervised.status()["deployments"]) == ["blue-2"]


def test_a_name_moves_only_to_what_is_ready_also_without_traffic(
    supervised: Supervised, code: Path, tmp_path: Path
) -> None:
    source = "import os, time\ndef init():\n    while not os.path.exists('go'): time.sleep(0.01)\n"
    new = make_code(tmp_path / "new", source + "def run(data): return 'new'\n")
    blue, traffic = make_deployment(code), {"blue-1": 100}
    before = supervised.document({"blue-1": blue, "green-1": blue}, traffic, {"green": "green-1"})
    supervised.start(before)
    supervised.await_settled()
    after = supervised.document({"blue-1": blue, "green-2": make_deployment(new)}, traffic, {"green": "green-2"})
    assert supervised.put(after).status == 200
    assert supervised.score(azureml_model_deployment="green").headers["azureml-model-deployment"] == "green-1"
    (new / "go").touch()
    supervised.await_settled()
    assert supervised.score(azureml_model_deployment="green").json == "new"


def test_a_change_to_something_that_fails_leaves_the_old_in_place_and_can_be_taken_back(
    serving: Supervised, code: Path, tmp_path: Path
) -> None:
    bad = make_deployment(make_code(tmp_path / "bad", "def init(): 1/0\ndef run(data): pass\n"))
    assert serving.put(serving.document({"blue-2": bad}, {"blue-2": 100}, {"blue": "blue-2"})).status == 200
    serving.await_state("blue-2", "Failed")
    assert serving.score().headers["azureml-model-deployment"] == "blue-1"
    pids = serving.worker_pids()
    back = serving.document({"blue-1": make_deployment(code)}, {"blue-1": 100}, {"blue": "blue-1"})
    assert serving.put(back).status == 200
    serving.await_settled()
    assert serving.score().json["pid"] in pids


def test_a_removed_deployment_answers_what_it_has_and_then_ends(
    serving: Supervised, code: Path, tmp_path: Path
) -> None:
    (old,) = serving.worker_pids()
    with held(serving.port, tmp_path / "gate") as answers:
        new = make_deployment(code, environment_variables={"NAME": "new"})
        assert serving.put(serving.document({"blue-2": new}, {"blue-2": 100})).status == 200
        await_truth(lambda: serving.score().json["name"] == "new", "the new one serves")
        assert answers == []
        assert is_running(old)
    assert (answers[0].status, answers[0].json["pid"]) == (200, old)
    serving.await_settled()
    assert not is_running(old)
    assert serving.score(azureml_model_deployment="blue-1").status == 404


def test_a_worker_count_changes_only_the_difference(serving: Supervised, code: Path) -> None:
    first = serving.worker_pids()
    for count in (3, 2):
        deployments = {"blue-1": make_deployment(code, instance_count=count)}
        assert serving.put(serving.document(deployments, {"blue-1": 100}, {"blue": "blue-1"})).status == 200
        serving.await_settled()
        assert serving.report("blue-1")["wanted"] == serving.report("blue-1")["ready"] == count
        await_truth(lambda: len(serving.worker_pids()) == count, "so many workers")  # noqa: B023 - asked at once
        assert first <= serving.worker_pids()


def test_a_configuration_is_kept_whole_and_returned_as_it_was_put(serving: Supervised, code: Path) -> None:
    document = serving.document({"blue-1": make_deployment(code, spec={"any": ["thing", 1.5, None]})}, {"blue-1": 100})
    assert serving.put(document).status == 400  # another spec under the same live name
    document = serving.document({"blue-2": make_deployment(code, spec={"any": ["thing", 1.5, None]})}, {"blue-2": 100})
    assert serving.put(document).status == 200
    assert serving.status()["configuration"] == document
    assert json.loads((serving.directory / "configuration.json").read_bytes()) == document


Change = Callable[[dict[str, object]], object]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda document: document.update(format=2), "format: must be 1"),
        (lambda document: document.update(colour="red"), "colour: is not a field here"),
        (lambda document: document.update(port=1), "port: cannot change"),
        (lambda document: document.update(endpoint="other"), "endpoint: cannot change"),
        (lambda document: document.update(host="0.0.0.0"), "host: must be a loopback address"),  # noqa: S104
        (lambda document: document["traffic"].update({"blue-1": 99}), "traffic: must add up to 0 or 100"),
        (lambda document: document["traffic"].update({"grey": 0}), "traffic.grey: is not the live name"),
        (lambda document: document["aliases"].update({"grey": "grey-1"}), "aliases.grey: 'grey-1' is not the live"),
        (lambda document: document["deployments"]["blue-1"].update(runtime="onnx"), "deployments.blue-1"),
        (lambda document: document["deployments"]["blue-1"].update(python="python"), "must be an absolute path"),
        (
            lambda document: document["deployments"]["blue-1"].update(environment_variables={"NAME": "x"}),
            "deployments.blue-1: only instance_count and telemetry can change under one live name",
        ),
        (lambda document: document["deployments"]["blue-1"].update(instance_count=0), "must be from 1 to 50"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    serving: Supervised, code: Path, change: Change, problem: str
) -> None:
    before = serving.status()
    document = serving.document({"blue-1": make_deployment(code)}, {"blue-1": 100}, {"blue": "blue-1"})
    change(document)
    answer = serving.put(document)
    assert answer.status == 400
    assert problem in answer.json["message"]
    assert serving.status() == before


def test_the_admin_interface_refuses_what_it_does_not_know(serving: Supervised) -> None:
    assert ask(serving.admin, "GET", "/nothing").status == 404
    assert ask(serving.admin, "DELETE", "/configuration").status == 404
    assert ask(serving.admin, "PUT", "/configuration", b"\xff{").status == 400
    assert ask(serving.port, "PUT", "/configuration", b"{}").status == 404
    assert ask(serving.port, "GET", "/status").status == 404

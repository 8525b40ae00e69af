"""Why a script failed is for its authors: callers see it only where the deployment says so."""

from __future__ import annotations

import pytest
from tests.scoring.conftest import StartWorker
from tests.scoring.rig import Supervised, make_code, make_deployment

SOURCE = """
def init(): pass
def helper(data):
    raise ValueError("the secret of " + data)
def run(data):
    if data == "object":
        return object()
    return helper(data)
"""
FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL = "An unexpected internal error occurred. Check the logs for more info."


@pytest.mark.parametrize(("body", "message"), [("Ada", FAILED), ("object", INTERNAL)])
def test_callers_learn_nothing_by_default(start_worker: StartWorker, body: str, message: str) -> None:
    worker = start_worker(SOURCE)
    answer = worker.ask(body)
    assert (answer.status, answer.json) == (500, {"message": message})
    assert b"secret" not in answer.body
    assert "Traceback" in worker.log()


@pytest.mark.parametrize(
    ("body", "message", "line"),
    [("Ada", FAILED, "ValueError: the secret of Ada"), ("object", INTERNAL, "TypeError: Object of type object")],
)
def test_callers_see_the_traceback_where_they_are_the_authors(
    start_worker: StartWorker, body: str, message: str, line: str
) -> None:
    answer = start_worker(SOURCE, show_tracebacks=True).ask(body)
    assert answer.status == 500
    assert set(answer.json) == {"message", "traceback"}
    assert answer.json["message"] == message
    assert answer.json["traceback"].startswith("Traceback (most recent call last):\n")
    assert line in answer.json["traceback"]


def test_the_gateway_passes_both_on(supervised: Supervised) -> None:
    code = make_code(supervised.directory / "code", SOURCE)
    deployments = {
        "open-1": make_deployment(code, show_tracebacks=True),
        "closed-1": make_deployment(code, show_tracebacks=False),
    }
    supervised.start(supervised.document(deployments, {"open-1": 0, "closed-1": 100}))
    for name in deployments:
        supervised.await_state(name, "Healthy")
    shown = supervised.score("Ada", azureml_model_deployment="open-1")
    hidden = supervised.score("Ada", azureml_model_deployment="closed-1")
    assert "helper(data)" in shown.json["traceback"]
    assert hidden.json == {"message": FAILED}
    assert shown.headers["x-ms-run-function-failed"] == hidden.headers["x-ms-run-function-failed"] == "True"

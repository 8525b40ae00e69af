"""The same on uvloop, which is what an installed endpoint runs on: its transports and processes are its own."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.scoring.environments import make_environment, run_in
from tests.scoring.load import Target, background
from tests.scoring.processes import is_running, kill
from tests.scoring.rig import Supervised, ask, await_truth, make_deployment


@pytest.fixture
def python(test_cache: Path) -> str:
    """An interpreter with the worker's own packages and nothing else."""
    return str(make_environment(test_cache, ()))


def test_an_endpoint_lives_through_changes_kills_and_its_end(supervised: Supervised, code: Path, python: str) -> None:
    assert run_in(Path(python), "import uvloop; print(1)") == 1
    supervised.python = python

    def deployment(name: str) -> dict[str, object]:
        variables = {"NAME": name, "PYTHONWARNINGS": "error"}
        return make_deployment(code, python=python, instance_count=2, environment_variables=variables)

    supervised.start(supervised.document({"blue-0": deployment("0")}, {"blue-0": 100}))
    supervised.await_settled()
    with background(Target(supervised.port), connections=8) as load:
        for number in (1, 2, 3):
            name = f"blue-{number}"
            assert supervised.put(supervised.document({name: deployment(name)}, {name: 100})).status == 200
            supervised.await_settled()
            load.wait_for_more(50)
    assert load.report().failures == 0
    pids = supervised.worker_pids()
    kill(min(pids))
    assert [supervised.score().status for _ in range(20)] == [200] * 20
    replaced = {"ready": 2, "restarts": 1, "errors": 0}
    await_truth(lambda: supervised.report("blue-3").items() >= replaced.items(), "it is replaced")
    killer = supervised.score({"die": int(signal.SIGKILL)})
    assert killer.status == 502
    assert ask(supervised.admin, "POST", "/shutdown").json == {"stopped": True}
    assert supervised.process is not None
    assert supervised.process.wait(60) == 0
    assert not any(is_running(pid) for pid in pids)

"""Endpoints on this machine, with real supervisors and workers."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.drivers.bench import listen, until

from mlops.drivers.local import admin, process
from mlops.errors import NotFound, TargetError
from mlops.resource import HealthState, Rollout
from mlops.rollout import make_steps

if TYPE_CHECKING:
    from tests.drivers.bench import Bench


def healthy(bench: Bench, name: str = "echo") -> None:
    health = bench.settled(name)
    assert health.state is HealthState.HEALTHY, health


def test_it_serves_after_the_command_has_ended(bench: Bench) -> None:
    """And answers as any client reaches it."""
    ran = subprocess.run(bench.program(bench.resource()), check=True, capture_output=True, text=True)
    assert ran.stderr == ""
    healthy(bench)
    assert bench.text() == "one"
    outputs = json.loads(ran.stdout)
    assert outputs["scoring_uri"] == f"http://127.0.0.1:{outputs['port']}/score"


def test_many_endpoints_at_once_each_get_a_port(fresh_bench: Bench) -> None:
    """As a parallel apply puts them; what they share is made once."""
    bench = fresh_bench
    resources = [bench.resource(f"echo{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        ports = [outputs["port"] for outputs in pool.map(bench.put, resources)]
    assert len(set(ports)) == 4
    for number in range(4):
        healthy(bench, f"echo{number}")
    assert len(list(bench.folders.environments.glob("*/.complete"))) == 2


def test_putting_again_touches_no_process(bench: Bench) -> None:
    bench.put(bench.resource())
    healthy(bench)
    before = bench.answer()["pid"], process.pid_of(bench.home("echo"))
    bench.put(bench.resource())
    assert (bench.answer()["pid"], process.pid_of(bench.home("echo"))) == before


def test_a_canary_goes_step_by_step_and_keeps_the_address(bench: Bench) -> None:
    base, target = bench.resource(text="one"), bench.resource(text="two")
    steps = make_steps(base.spec, target.spec, Rollout("canary", (10, 50)), bench.driver().traffic)
    outputs = bench.put(base)
    healthy(bench)
    shares = []
    for step in steps:
        resource = bench.with_spec(target, step.spec, [*base.artifacts, *target.artifacts])
        assert bench.put(resource) == outputs
        healthy(bench)
        texts = [bench.text() for _ in range(20)]
        shares.append(texts.count("two"))
    assert shares == [0, 2, 10, 20, 20]
    observed = bench.observe()
    assert observed is not None
    assert observed.spec == target.spec


def test_requests_are_counted_for_each_deployment_and_samples_are_not(bench: Bench) -> None:
    resource = bench.live(bench.declared({"blue": "one", "green": "two"}, {"blue": 75, "green": 25}))
    bench.put(resource)
    healthy(bench)
    for _ in range(8):
        bench.text()
    (green,) = [name for name in bench.deployments(resource) if name.startswith("green")]
    assert bench.text(deployment=green) == "two"
    observed = bench.observe()
    assert observed is not None
    assert {name.partition("-")[0]: traffic.requests for name, traffic in observed.traffic.items()} == {
        "blue": 6,
        "green": 2,
    }


def test_a_deployment_is_reached_by_live_and_by_declared_name(bench: Bench) -> None:
    resource = bench.live(bench.declared({"blue": "one", "green": "two"}))
    bench.put(resource)
    healthy(bench)
    assert bench.text(deployment="green") == "two"
    assert [bench.text(deployment=name) for name in bench.deployments(resource)] == ["one", "two"]
    with pytest.raises(NotFound, match="Did you mean"):
        bench.text(deployment="gren")


def test_workers_are_added_beside_those_that_serve(bench: Bench) -> None:
    bench.put(bench.resource(instance_count=1))
    healthy(bench)
    first = bench.answer()["pid"]
    bench.put(bench.resource(instance_count=2))
    bench.await_workers(2)
    assert bench.answer()["pid"] == first or {bench.answer()["pid"] for _ in range(20)} >= {first}


def test_init_that_fails_says_so_in_one_line_with_the_log(bench: Bench) -> None:
    text = (
        "def init():\n    print('looking for weights')\n    raise OSError('no weights')\ndef run(data):\n    return 1\n"
    )
    bench.put(bench.resource(text=text))
    health = bench.settled()
    assert health.state is HealthState.FAILED
    assert "no weights" in health.reason
    assert "\n" not in health.reason
    until(lambda: any("no weights" in line for line in bench.settled().log), "what init() raised")
    logs, address = bench.driver().logs, bench.resource().address
    until(lambda: any("looking for weights" in line for line in logs(address, "blue", 50)), "what init() printed")


def test_variables_come_from_git_and_nowhere_else(bench: Bench) -> None:
    """Not from whoever happens to apply."""
    resource = bench.resource()
    environment = {**os.environ, "VARIABLE": "from the shell"}
    subprocess.run(bench.program(resource), check=True, capture_output=True, env=environment)
    healthy(bench)
    assert bench.answer()["variable"] is None
    bench.put(bench.resource(environment_variables={"VARIABLE": "from Git"}))
    healthy(bench)
    assert bench.answer()["variable"] == "from Git"


def test_drift_shows_and_is_repaired(bench: Bench) -> None:
    resource = bench.resource()
    bench.put(resource)
    healthy(bench)
    home = bench.home("echo")
    told = json.loads(home.configuration.read_bytes())
    told["traffic"] = dict.fromkeys(told["traffic"], 0)
    admin.put_configuration(home, told)
    observed = bench.observe()
    assert observed is not None
    assert observed.spec["traffic"] == told["traffic"]
    bench.put(resource)
    assert bench.text() == "one"


def test_deleting_drains_and_gives_the_port_back(bench: Bench) -> None:
    outputs = bench.put(bench.resource())
    healthy(bench)
    home = bench.home("echo")
    bench.driver().delete(bench.resource().address)
    assert not home.folder.exists()
    assert not home.admin.exists()
    until(lambda: listen(int(outputs["port"])), "a free port").close()


def test_each_stage_leaves_the_others_endpoint_alone(bench: Bench) -> None:
    bench.put(bench.resource())
    healthy(bench)
    resource = bench.resource(text="two")
    theirs = bench.driver(stage="prod")
    with pytest.raises(TargetError, match="belongs to stage dev of project project"):
        theirs.put(resource, bench.stamp(resource, stage="prod"))
    with pytest.raises(TargetError, match="belongs to stage dev"):
        theirs.delete(resource.address)
    assert bench.text() == "one"


def test_an_environment_without_a_lock_says_what_to_do(bench: Bench) -> None:
    with pytest.raises(TargetError) as raised:
        bench.put(bench.resource(environment={"name": "cuda", "version": "2", "image": "example/cuda"}))
    (problem,) = raised.value.diagnostics
    assert problem.command == "mlops environment lock cuda:2"


def test_a_root_with_a_very_long_name_serves_too(bench: Bench, tmp_path: Path) -> None:
    """A UNIX socket's path is short; then the admin socket is elsewhere."""
    deep = bench.at(tmp_path / ("d" * 120))
    try:
        deep.put(deep.resource())
        healthy(deep)
        assert deep.text() == "one"
        home = deep.home("echo")
        assert not home.admin.is_relative_to(deep.root)
        assert home.admin.stat().st_mode & 0o077 == 0
        deep.driver().delete(deep.resource().address)
        assert not home.admin.parent.exists()
    finally:
        deep.close()


@pytest.mark.parametrize("length", [1, 120])
def test_a_repository_that_was_moved_serves_at_the_same_port(bench: Bench, short_path: Path, length: int) -> None:
    """With the admin socket in the endpoint's folder, and with it elsewhere."""
    old, new = short_path / ("o" * length), short_path / ("n" * length)
    before = bench.at(old)
    outputs = before.put(before.resource())
    healthy(before)
    old.rename(new)
    after = bench.at(new)
    try:
        observed = after.observe()
        assert observed is not None
        assert observed.outputs == outputs
        assert after.put(after.resource()) == outputs
        healthy(after)
        assert after.text() == "one"
    finally:
        after.close()


def test_the_model_is_where_the_script_looks_for_it(bench: Bench) -> None:
    text = (
        "import os\nfrom pathlib import Path\n"
        "def init():\n    global weights\n"
        "    weights = Path(os.environ['AZUREML_MODEL_DIR'], 'sub', 'weights.txt').read_text()\n"
        "def run(data):\n    return {'text': weights}\n"
    )
    model = bench.model({"sub/weights.txt": b"forty-two"})
    bench.put(bench.with_artifacts(bench.resource(text=text, model=model.spec), model.artifacts))
    healthy(bench)
    assert bench.text() == "forty-two"


def test_observing_needs_no_supervisor_to_be_asked_that_nobody_asked_for(bench: Bench) -> None:
    assert list(bench.driver().observe(frozenset())) == []
    assert bench.observe() is None

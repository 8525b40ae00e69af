"""Where a live endpoint's telemetry goes, changed in Git and by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.greetings import deployment
from tests.e2e.laptop import Laptop
from tests.e2e.processes import Gate, until

from mlops.drivers.local import admin
from mlops.drivers.local.folders import Folders
from mlops.drivers.local.home import Home, read_home


def home(laptop: Laptop) -> Home:
    found = read_home(Folders(laptop.root, "here"), "hello")
    assert found is not None
    return found


def test_another_collector_is_no_other_version_of_anything(laptop: Laptop) -> None:
    """Workers are replaced one by one under their live name; and what they are told by hand is seen and undone."""
    laptop.declare(telemetry={"otlp_endpoint": "http://127.0.0.1:9"})
    laptop.converge()
    before, workers = deployments(laptop), laptop.workers()
    laptop.declare(telemetry={"otlp_endpoint": "http://127.0.0.1:99", "sampling_ratio": "50%"})
    planned = laptop.expect(0, "plan")
    assert "telemetry.otlp_endpoint" in planned
    assert "restart" not in planned
    assert "start beside" not in planned
    laptop.converge()
    assert deployments(laptop).keys() == before.keys()
    (entry,) = deployments(laptop).values()
    assert entry["telemetry"] == {"otlp_endpoint": "http://127.0.0.1:99", "sampling_ratio": 0.5}
    until(lambda: len(laptop.workers()) == 1 and laptop.workers() != workers, "the worker was replaced")
    told = json.loads(home(laptop).configuration.read_bytes())
    (name,) = told["deployments"]
    silenced = {**told["deployments"][name], "telemetry": {}}
    admin.put_configuration(home(laptop), {**told, "deployments": {name: silenced}})
    assert "deployments.main.telemetry" in laptop.expect(3, "drift")
    laptop.converge()
    assert json.loads(home(laptop).configuration.read_bytes()) == told
    laptop.expect(0, "drift")


def test_status_says_that_workers_are_replaced_until_they_are(laptop: Laptop, tmp_path: Path) -> None:
    """All are healthy, those that leave and those that come; the successor waits in its `init()`."""
    where = {"main": deployment(environment_variables={"GATE": str(tmp_path / "gate")})}
    laptop.declare(deployments=where, telemetry={"otlp_endpoint": "http://127.0.0.1:9"})
    laptop.converge()
    until(lambda: status(laptop) == ("Healthy", False), "it is settled")
    assert "settling" not in laptop.expect(0, "status")
    laptop.declare(deployments=where, telemetry={"otlp_endpoint": "http://127.0.0.1:99"})
    gate = Gate(tmp_path / "gate")
    laptop.apply()
    with gate.held():
        assert status(laptop) == ("Healthy", True)
        assert laptop.expect(0, "status").splitlines()[1].endswith("  settling")
    until(lambda: status(laptop) == ("Healthy", False), "it is settled again")


def status(laptop: Laptop) -> tuple[str, bool]:
    """State of the endpoint, and whether it is settling."""
    (found,) = json.loads(laptop.run("status", "--format", "json").stdout)["objects"]
    return found["state"], found["settling"]


def deployments(laptop: Laptop) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(home(laptop).configuration.read_bytes())["deployments"]
    return found

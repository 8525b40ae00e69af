"""Where a live endpoint's telemetry goes, changed in Git and by hand."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.laptop import Laptop
from tests.e2e.processes import until

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


def deployments(laptop: Laptop) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(home(laptop).configuration.read_bytes())["deployments"]
    return found

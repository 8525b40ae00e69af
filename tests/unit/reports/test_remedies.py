"""What is blocked or waits says what to do, for every reason that the planner gives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlops.drivers.memory import MemoryDriver
from mlops.plan import Action, Baseline, Change, Plan, plan_section
from mlops.plan.wanted import Target, Wanted
from mlops.reports.plan.remedies import remedy
from mlops.resource import Address, Kind, Observed, Resource, Spec, Stamp, digest
from mlops.rollout import to_live

ADDRESS = Address(Kind.ENDPOINT, "digits@near")
OLD: Spec = {"deployments": {"blue": {"model": {"name": "digits", "version": "1"}}}, "traffic": {"blue": 100}}
NEW: Spec = {"deployments": {"blue": {"model": {"name": "digits", "version": "2"}}}, "traffic": {"blue": 100}}


def _decide(
    stamp: Stamp | None, *, spec: Spec = NEW, exists: bool = True, denied: bool = False, protect: bool = False
) -> Change:
    live = Observed(ADDRESS, to_live(OLD, MemoryDriver.rules), stamp)
    bad = {ADDRESS: {digest(spec): "errors"}} if denied else {}
    baseline = Baseline(exists=exists, denied=bad, spec={digest(OLD): OLD}.get)
    target = Target(MemoryDriver.rules, MemoryDriver.traffic)
    resource = Resource(ADDRESS, "near", spec, protect=protect)
    wanted = Wanted("demo", "dev", (resource,), (live,), baseline, {"near": target})
    return plan_section(wanted, {ADDRESS: "near"}).changes[0]


OURS = Stamp("demo", "dev", str(ADDRESS), digest(OLD))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_decide(None), "Take the object away by hand"),
        (_decide(replace(OURS, format=99)), "Upgrade the toolkit"),
        (_decide(replace(OURS, stage="prod")), "another compute"),
        (_decide(replace(OURS, address="endpoint/other@near")), "take our stamp off it"),
        (_decide(OURS, exists=False), "nobody knows what was applied"),
        (_decide(OURS, denied=True), "found bad"),
        (_decide(OURS, spec={**OLD, "zone": "east"}, protect=True), "protect: false"),
        (_decide(OURS, spec={**OLD, "files": {"a": "b"}}), "declare a new version"),
    ],
)
def test_every_blocked_change_says_what_to_do(change: Change, said: str) -> None:
    found = remedy(change, "dev")
    assert change.action is Action.BLOCKED
    assert found is not None
    assert said in found.todo


def test_a_command_survives_a_hostile_stage() -> None:
    found = remedy(_decide(OURS, denied=True), "dev; rm -rf ~")
    assert found is not None
    assert found.command == "mlops apply --stage 'dev; rm -rf ~' --retry endpoint/digits@near"


def test_what_waits_says_how_it_comes(every_action: Plan) -> None:
    waiting = next(c for c in every_action.changes if c.action is Action.WAIT)
    found = remedy(waiting, "dev")
    assert found is not None
    assert found.command == "mlops model register fraud FILE"
    environment = remedy(replace(waiting, waits=("environment/onnx:2",)), "dev")
    assert environment is not None
    assert environment.todo == "Declare onnx:2 in environments/onnx/2.yaml."
    kept = remedy(replace(waiting, waits=("model/fraud:2 (files: edited in Git)",)), "dev")
    assert kept is not None
    assert (kept.command, kept.todo.startswith("It is declared, and something keeps it back")) == ("", True)
    elsewhere = remedy(replace(waiting, waits=("content of a (1).onnx, sha256 0123456789ab",)), "dev")
    assert elsewhere is not None
    assert elsewhere.todo.startswith("Apply it where it was registered")
    paused = remedy(replace(waiting, waits=("paused until 1795000000",)), "dev")
    assert paused is not None
    assert paused.command == "mlops apply --stage dev"


def test_what_is_done_needs_no_remedy(every_action: Plan) -> None:
    assert all(remedy(c, "dev") is None for c in every_action.changes if c.action is Action.UPDATE)

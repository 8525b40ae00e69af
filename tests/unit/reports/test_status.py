"""What is live, and what drifted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from mlops.plan import Change, Plan
from mlops.reports.drift import render_drift, render_drift_json, render_drift_markdown
from mlops.reports.status import render_status, render_status_json, render_status_markdown
from mlops.resource import Address, Health, HealthState, Kind


@dataclass(frozen=True)
class Live:
    """A live object as the pipeline gives it."""

    address: Address = field(default_factory=lambda: Address(Kind.ENDPOINT, "digits@near"))
    stage: str = "dev"
    serves: tuple[str, ...] = ("blue: digits:2 (100 %)",)
    health: Health = field(default_factory=lambda: Health(ready=2, wanted=3))
    goal: str | None = "a" * 64
    since: float | None = 1_795_000_000.0
    outputs: dict[str, str] = field(default_factory=lambda: {"scoring_uri": "http://127.0.0.1:8600/score"})
    note: str = ""


def test_status_is_a_table() -> None:
    assert render_status("dev", [Live()]) == (
        "OBJECT                STATE        SERVES                  SINCE                 AT\n"
        "endpoint/digits@near  Healthy 2/3  blue: digits:2 (100 %)  2026-11-18 11:06:40Z  http://127.0.0.1:8600/score\n"
    )
    assert render_status("dev", []) == "Nothing is live in stage dev.\n"


def test_what_is_ill_shows_its_reason_and_log() -> None:
    ill = replace(Live(), health=Health(HealthState.FAILED, "exit 1", log=("Killed\x07",)), note="rollout under way")
    text = render_status("dev", [ill])
    assert "Failed" in text
    assert "exit 1; rollout under way" in text
    assert text.endswith("\nendpoint/digits@near\n  | Killed\\x07\n")


def test_status_in_other_formats() -> None:
    value = json.loads(render_status_json("dev", [Live()]))
    assert value["objects"][0]["state"] == "Healthy"
    assert (value["objects"][0]["ready"], value["objects"][0]["wanted"]) == (2, 3)
    assert "| endpoint/digits@&#8203;near | Healthy 2/3 |" in render_status_markdown("dev", [Live()])


def _change(plan: Plan, name: str) -> Change:
    return next(c for c in plan.changes if c.address.name == name)


def test_drift_names_each_field(every_action: Plan) -> None:
    changes = [_change(every_action, "digits@near")]
    text = render_drift("dev", changes)
    first, second = text.splitlines()[:2]
    assert first == "drift endpoint/digits@near: edited in Git"
    assert second.startswith('      deployments.blue.model.version  "1" → "2"  (edited in Git; a deployment gets')
    assert text.endswith(
        "Drift: 1 object changed outside of Git in stage dev. `mlops apply` puts back what Git declares.\n"
    )
    assert json.loads(render_drift_json("dev", changes))["changes"][0]["fields"][0]["live"] == "1"
    assert "| `endpoint/digits@near` | `deployments.blue.model.version` |" in render_drift_markdown("dev", changes)


def test_no_drift_is_said() -> None:
    assert render_drift("dev", []) == "No drift in stage dev.\n"
    assert render_drift_markdown("dev", []) == "### No drift in `dev`\n\n"

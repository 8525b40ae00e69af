"""What is live, and what drifted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from mlops.driver import Collected
from mlops.plan import Change, Plan
from mlops.reports.drift import render_drift, render_drift_json, render_drift_markdown
from mlops.reports.palette import Palette, Tone
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
    collected: dict[str, Collected | None] = field(default_factory=dict)
    settling: bool = False


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


def test_what_was_collected_is_beside_what_serves_and_what_was_lost_cannot_be_missed() -> None:
    fine = replace(Live(), collected={"blue": Collected(1204, {}, 5)})
    assert "  blue: 1204 collected, 0 dropped, 5 waiting  " in render_status("dev", [fine])
    assert render_status("dev", [fine]).splitlines()[0].split() == ["OBJECT", "STATE", "SERVES", "DATA", "SINCE", "AT"]
    counts = {"blue": Collected(7, {"disk": 2, "queue_full": 1}, 0, silent=1), "green": None}
    losing = replace(Live(), collected=counts)
    lost = "blue: 7 collected, 3 DROPPED (disk 2, queue_full 1), 0 waiting, 1 worker silent; green: not known"
    assert lost in render_status("dev", [losing])
    coloured = Palette(colour=True)
    assert coloured.paint(Tone.DANGER, lost) in render_status("dev", [losing], coloured)
    assert coloured.paint(Tone.DANGER, "blue: 1204") not in render_status("dev", [fine], coloured)
    assert "7 collected, 3 DROPPED" in render_status_markdown("dev", [losing])


def test_what_was_collected_is_in_json_too() -> None:
    counts = {"blue": Collected(7, {"disk": 2}, 1, silent=1), "green": None}
    (found,) = json.loads(render_status_json("dev", [replace(Live(), collected=counts)]))["objects"]
    assert found["collected"] == {
        "blue": {"collected": 7, "dropped": {"disk": 2}, "waiting": 1, "silent_workers": 1},
        "green": None,
    }
    assert json.loads(render_status_json("dev", [Live()]))["objects"][0]["collected"] == {}


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

"""The text of a plan, whole, as somebody reads it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mlops.plan import Action, Plan, Section
from mlops.reports.palette import Palette
from mlops.reports.plan.text import render_plan
from mlops.resource import Health, HealthState

EXPECTED = """\
Stage dev of demo, from main cccccccccccc, with uncommitted changes

delete  endpoint/gone@near: no longer declared; it serves digits:1

replace endpoint/moved@near: deleted and made again: zone west → east
          zone  "west" → "east"
            replace: edited in Git; an endpoint cannot be moved to another zone

blocked endpoint/bad@near: this goal was returned from before: error rate 5 %
          It was found bad in this stage. Declare something else, or allow it again once its cause is mended:
              mlops apply --stage dev --retry endpoint/bad@near

blocked endpoint/foreign@near: an object of this name exists and carries no stamp of ours: \
it was not made by this project
          Take the object away by hand, or declare this one under another name.

wait    endpoint/later@near: not there yet: model/fraud:5
          Register fraud:5, or take it over from an outside registry with `mlops model adopt fraud:5`:
              mlops model register fraud FILE

update  endpoint/digits@near: digits 1 → 2, canary 10 % → 50 % → 100 %, 30s each
          1. start beside the old version, without traffic
          2. 10 % to the new version, soaking 30s
          3. 50 % to the new version, soaking 30s
          4. 100 % to the new version, soaking 30s
          5. remove the old version
          deployments.blue.model.version          "1" → "2"
          deployments.blue.model.files["m.onnx"]  "391552c099c1…" → "cc11310c456c…"
            restart: edited in Git; a deployment gets new content beside the old

create  endpoint/fresh@near: serves digits:1

none    endpoint/scaled@near: as declared
          deployments.blue.instance_count  5 stays, declared 2
            kept: changed outside of Git; the autoscaler owns the number of instances

1 to create, 1 to update, 1 to replace, 1 to delete, 1 waiting, 2 blocked, 2 unchanged.
Effect DIGEST, basis DIGEST.
"""


def _without_digests(text: str) -> str:
    return re.sub(r"(Effect|basis) [0-9a-f]{12}", r"\1 DIGEST", text)


def test_a_plan_says_what_it_means_before_its_fields(every_action: Plan) -> None:
    assert _without_digests(render_plan(every_action)) == EXPECTED


def test_a_plan_without_changes_says_so_in_one_line(every_action: Plan) -> None:
    kept = tuple(c for c in every_action.changes if c.action is Action.NONE and not c.fields)
    text = render_plan(replace(every_action, sections=(Section("dev", kept),)))
    assert text.splitlines()[-1] == "No changes: 0 to update, 0 to delete, 1 unchanged."


def test_what_is_as_declared_and_sick_is_told(every_action: Plan) -> None:
    kept = next(c for c in every_action.changes if c.action is Action.NONE and not c.fields)
    sick = replace(kept, health=Health(HealthState.FAILED, "init() raised"))
    lines = render_plan(replace(every_action, sections=(Section("dev", (sick,)),))).splitlines()
    assert lines[2:4] == [f"none    {kept.address}: as declared", "          Failed now: init() raised"]


def test_colour_changes_nothing_but_colour(every_action: Plan) -> None:
    painted = render_plan(every_action, Palette(colour=True))
    assert "\x1b[31mdelete" in painted
    assert re.sub(r"\x1b\[\d+m", "", painted) == render_plan(every_action)


@pytest.mark.parametrize("dangerous", ["\n", "\r", "\x1b[2J", "\u202e", "\x9b", "\u2028"])
def test_no_name_or_reason_can_add_a_line_or_move_the_cursor(every_action: Plan, dangerous: str) -> None:
    name = f"x{dangerous}delete  endpoint/prod@near: forged"
    hostile = tuple(
        replace(
            change,
            address=replace(change.address, name=f"{change.address.name}{name}"),
            reason=f"{change.reason}{name}",
            waits=tuple(f"{wait}{name}" for wait in change.waits),
            fields=tuple(replace(f, path=f.path + name, live=name, reason=name) for f in change.fields),
        )
        for change in every_action.changes
    )
    plan = replace(
        every_action, project=name, stage=name, sections=(Section("dev", hostile),), revision={"branch": name}
    )
    text = render_plan(plan)
    assert all(line.isprintable() for line in text.split("\n"))
    assert sum(line.startswith("delete ") for line in text.split("\n")) == 1

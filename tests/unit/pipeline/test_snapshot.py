"""A snapshot gives the plan that the live targets give, and is read strictly."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.features.workshop import Workshop

from mlops.errors import InvalidPlan
from mlops.ledger import Intent
from mlops.pipeline.applying import origin_of
from mlops.pipeline.planning import plan
from mlops.pipeline.snapshot import plan_from, read_snapshot, take_snapshot
from mlops.plan import Action
from mlops.plan.file import write_plan
from mlops.resource import Address

Document = dict[str, object]


def taken(workshop: Workshop, stage: str = "dev") -> bytes:
    with workshop.opened() as workspace:
        return take_snapshot(workspace, stage).to_bytes()


@pytest.fixture
def busy(workshop: Workshop) -> Workshop:
    """One endpoint soaks, one was returned from, one is not declared any more, one waits."""
    workshop.declare("old", "dev", "fraud:1")
    workshop.declare("bad", "dev", "fraud:1")
    workshop.apply()
    workshop.declare("fraud", "dev", "fraud:2", more="rollout: {strategy: canary, weights: [10], soak: 1h}\n")
    workshop.apply()
    (workshop.root / "endpoints/old/dev.yaml").unlink()
    workshop.declare("late", "dev", "fraud:9")
    return workshop


@pytest.mark.parametrize("stage", ["dev", "prod", "shared"])
def test_the_plan_is_that_of_the_live_targets(busy: Workshop, stage: str) -> None:
    with busy.opened() as workspace:
        from_snapshot = plan_from(workspace, read_snapshot(taken(busy, stage)))
        assert write_plan(from_snapshot) == write_plan(plan(workspace, stage))


def test_what_a_dead_run_may_have_left_is_planned_from_a_snapshot_too(workshop: Workshop) -> None:
    """It was killed in a first deployment, and its endpoint is not declared any more."""
    workshop.apply()
    lost = Address.parse("endpoint/lost@here")
    with workshop.opened() as workspace:
        with workspace.ledger("dev", local=True).begin(Intent(origin_of(workspace, ""), {lost: "0" * 64})) as run:
            run.interrupt(())
        from_snapshot = plan_from(workspace, read_snapshot(taken(workshop)))
        assert {c.address: c.action for c in from_snapshot.changes}[lost] is Action.DELETE
        assert write_plan(from_snapshot) == write_plan(plan(workspace, "dev"))


def edits() -> dict[str, Callable[[Document], object]]:
    """What somebody may have done to a snapshot; each is refused."""

    def view(document: Document) -> Document:
        found: Document = document["views"][1]  # type: ignore[index] # a list of objects
        return found

    def item(document: Document) -> Document:
        found: Document = view(document)["observed"][0]  # type: ignore[index] # a list of objects
        return found

    return {
        "another version": lambda d: d.update(format=2),
        "an unknown key": lambda d: d.update(more=1),
        "an unknown key in a view": lambda d: view(d).update(more=1),
        "an unknown key in an object": lambda d: item(d).update(more=1),
        "no views": lambda d: d.update(views=[]),
        "a view too few": lambda d: d.update(views=d["views"][:1]),
        "views in another order": lambda d: d.update(views=d["views"][::-1]),
        "another stage": lambda d: d.update(stage="prod"),
        "objects that are none": lambda d: view(d).update(observed="x"),
        "no address": lambda d: item(d).update(address="fraud"),
        "a health that is none": lambda d: item(d).update(health={"state": "Great", "reason": ""}),
        "half a stamp": lambda d: item(d).update(stamp={"format": 1}),
        "a goal that is none": lambda d: view(d).update(applied={"endpoint/fraud@here": "x"}),
        "a spec that is none": lambda d: view(d).update(specs={"0" * 64: 1}),
    }


@pytest.mark.parametrize("edit", edits())
def test_an_edited_snapshot_is_refused(workshop: Workshop, edit: str) -> None:
    workshop.apply()
    document = json.loads(taken(workshop))
    edits()[edit](document)
    with pytest.raises(InvalidPlan):
        read_snapshot(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"{" * 100_000, b'{"format": 1}', b'{"format": 1'])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidPlan):
        read_snapshot(data)


def test_a_snapshot_of_another_stage_than_was_asked_for_is_refused(workshop: Workshop) -> None:
    with workshop.opened() as workspace, pytest.raises(InvalidPlan, match="another stage"):
        plan_from(workspace, read_snapshot(taken(workshop)), stage="prod")


def test_a_snapshot_of_another_project_is_refused(workshop: Workshop) -> None:
    document = json.loads(taken(workshop)) | {"project": "other"}
    with workshop.opened() as workspace, pytest.raises(InvalidPlan, match="another project"):
        plan_from(workspace, read_snapshot(json.dumps(document).encode()))

"""Plans that are narrowed, or that try a bad goal again, and are saved."""

from __future__ import annotations

import pytest
from tests.features.workshop import Workshop

from mlops.driver import Answer
from mlops.errors import Exit, NotFound
from mlops.pipeline.applying import Applied, ApplyRequest
from mlops.pipeline.planning import Selection, plan
from mlops.plan import Plan
from mlops.plan.file import read_plan, write_plan
from mlops.reports.plan.text import render_plan
from mlops.resource import Address

FRAUD = Address.parse("endpoint/fraud@here")
NOBODY = Address.parse("endpoint/nobody@here")


def saved(made: Plan) -> Plan:
    return read_plan(write_plan(made))


def apply_saved(workshop: Workshop, reviewed: Plan) -> Applied:
    selection = Selection(frozenset(reviewed.only), frozenset(reviewed.retry))
    return workshop.apply(request=ApplyRequest(selection, reviewed))


def test_a_narrowed_plan_is_applied_from_its_file_although_more_is_left_to_do(workshop: Workshop) -> None:
    workshop.declare("other", "dev", "fraud:1")
    reviewed = saved(workshop.plan(only=[FRAUD]))
    assert reviewed.only == (FRAUD,)
    assert "; only endpoint/fraud@here" in render_plan(reviewed).splitlines()[0]
    assert apply_saved(workshop, reviewed).exit_code is Exit.DONE
    assert FRAUD in workshop.far().objects
    assert len(workshop.far().objects) == 1


def test_a_plan_that_tries_again_is_applied_from_its_file(workshop: Workshop) -> None:
    workshop.write({"endpoints/fraud/sample.json": "1"})
    workshop.declare("fraud", "dev", "fraud:1", more="sample_request: {request: sample.json, expected: 1}\n")
    workshop.apply()
    workshop.declare("fraud", "dev", "fraud:2", more="sample_request: {request: sample.json, expected: 1}\n")
    workshop.far().scorer = lambda _deployment, _body: Answer(500, {}, b"")
    assert workshop.apply().exit_code is Exit.FAILED
    workshop.far().scorer = lambda _deployment, _body: Answer(200, {}, b"1")
    assert workshop.apply().exit_code is Exit.BLOCKED
    with workshop.opened() as workspace:
        reviewed = saved(plan(workspace, "dev", retry=[FRAUD]))
    assert "; tries endpoint/fraud@here again" in render_plan(reviewed).splitlines()[0]
    assert apply_saved(workshop, reviewed).exit_code is Exit.DONE
    assert workshop.plan().summary.effective == 0


@pytest.mark.parametrize("option", ["only", "retry"])
def test_an_object_that_nobody_knows_is_refused(workshop: Workshop, option: str) -> None:
    with workshop.opened() as workspace, pytest.raises(NotFound, match="endpoint/nobody@here"):
        plan(workspace, "dev", only=[NOBODY] * (option == "only"), retry=[NOBODY] * (option == "retry"))

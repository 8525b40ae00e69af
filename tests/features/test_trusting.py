"""What was reviewed is what is done."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pytest_bdd import given, parsers, scenarios, then, when
from tests.features.conftest import Story
from tests.features.workshop import Workshop, git

from mlops.errors import Exit, InvalidRepository, Locked, MlopsError, NotFound
from mlops.pipeline import model_delete
from mlops.pipeline.applying import ApplyRequest, Conduct, apply
from mlops.pipeline.history import served_at
from mlops.pipeline.status import Drift, drift
from mlops.plan.file import read_plan, write_plan
from mlops.reports.moment import Past
from mlops.resource import Address, Kind, Observed

scenarios("trusting.feature")

MONDAY = datetime(2027, 3, 1, 9, 0, tzinfo=UTC).timestamp()
DAY = 86400.0


# -------------------------------------------------------------------------------------------------- plans and effects


@given("I have the plan of dev in a file", target_fixture="plan_file")
def plan_in_a_file(story: Story) -> bytes:
    return write_plan(story.mine.plan())


@when(parsers.parse("somebody else applies {model:S} to dev"))
def somebody_else_applies(story: Story, model: str) -> None:
    declared = (story.mine.root / "endpoints/fraud/dev.yaml").read_text()
    story.declare("dev", model)
    assert story.mine.apply().exit_code is Exit.DONE
    (story.mine.root / "endpoints/fraud/dev.yaml").write_text(declared)


@when("I apply the plan file")
def apply_the_file(story: Story, plan_file: bytes) -> None:
    story.apply("dev", ApplyRequest(reviewed=read_plan(plan_file)))


@given("the effect of the plan of dev is approved", target_fixture="approved")
def approved(story: Story) -> str:
    return story.mine.plan().digests.effect


@when("I declare three instances of it too")
def three_instances(story: Story) -> None:
    path = story.mine.root / "endpoints/fraud/dev.yaml"
    path.write_text(path.read_text().replace("}", ", instance_count: 3}"))


@when("I apply the approved effect")
def apply_the_effect(story: Story, approved: str) -> None:
    story.apply("dev", ApplyRequest(effect=approved))


# ------------------------------------------------------------------------------------------------------------ drift


@when("somebody takes all traffic off dev by hand")
def by_hand(story: Story) -> None:
    far = story.far()
    observed = far.objects[story.endpoint()]
    traffic = observed.spec["traffic"]
    assert isinstance(traffic, dict)
    far.objects[story.endpoint()] = replace(observed, spec={**observed.spec, "traffic": dict.fromkeys(traffic, 0)})


def drifted(story: Story) -> Drift:
    with story.mine.opened() as workspace:
        return drift(workspace, "dev", record=True)


@then("the drift check of dev finds the endpoint and exits with 3")
def finds_the_endpoint(story: Story) -> None:
    found = drifted(story)
    assert [c.address for c in found.changes] == [story.endpoint()]
    assert found.exit_code == 3


@then("the drift check of dev finds nothing")
def finds_nothing(story: Story) -> None:
    assert drifted(story).exit_code == 0


@then(parsers.parse('the plan of dev says "{reason}"'))
def plan_says(story: Story, reason: str) -> None:
    (change,) = (c for c in story.mine.plan().changes if c.address == story.endpoint())
    assert change.reason == reason


# ------------------------------------------------------------------------------------- what may be touched and deleted


@given("somebody else made an endpoint of that name")
def theirs(story: Story) -> None:
    story.far().objects[story.endpoint()] = Observed(story.endpoint(), {"owner": "them"}, None)


@then("the endpoint is still theirs")
def still_theirs(story: Story) -> None:
    assert story.far().objects[story.endpoint()].spec == {"owner": "them"}


@when(parsers.parse("I delete {model:S}"))
def delete_model(story: Story, model: str) -> None:
    story.refused = None
    story.written = story.writes()
    try:
        with story.mine.opened() as workspace:
            model_delete.delete(workspace, model, "not needed")
    except MlopsError as error:
        story.refused = error


@when(parsers.parse("{model:S} serves in prod as well"))
def in_prod_as_well(story: Story, model: str) -> None:
    story.serve("prod", model)


@when(parsers.parse("I delete {model:S} and apply"))
def delete_and_apply(story: Story, model: str) -> None:
    delete_model(story, model)
    assert story.refused is None
    story.mine.commit(f"Delete {model}")
    story.apply("dev")
    assert story.applied is not None
    assert story.applied.exit_code is Exit.DONE


@then(parsers.parse("the registry does not hold {model:S}"))
def not_held(story: Story, model: str) -> None:
    with story.mine.opened() as workspace:
        held = {o.address for o in workspace.registry.observe()}
    assert Address(Kind.MODEL, model) not in held


@then(parsers.parse("version {version:S} of {name:S} cannot be declared again"))
def never_again(story: Story, version: str, name: str) -> None:
    story.mine.add_model(f"{name}:{version}", "other")
    with pytest.raises(InvalidRepository, match="deleted"):
        story.mine.plan()


@given(parsers.parse("{count:d} endpoints in dev"))
def many_endpoints(story: Story, count: int) -> None:
    story.mine.add_model("fraud:1")
    for number in range(count):
        story.mine.declare(f"fraud-{number}", "dev", "fraud:1")
    story.apply("dev")


@when(parsers.parse("I remove {count:d} endpoints from Git"))
def remove_endpoints(story: Story, count: int) -> None:
    for number in range(count):
        shutil.rmtree(story.mine.root / f"endpoints/fraud-{number}")


@when(parsers.parse("I apply dev and allow {count:d} deletions"))
def apply_with_deletions(story: Story, count: int) -> None:
    story.apply("dev", ApplyRequest(allow_deletes=count))
    assert story.refused is None


@then(parsers.parse("{count:d} endpoints are live in dev"))
def live_endpoints(story: Story, count: int) -> None:
    assert len(story.far().objects) == count


@given("fraud:1 serves in dev and is protected")
def protected(story: Story) -> None:
    story.mine.add_model("fraud:1")
    story.declare("dev", "fraud:1", "protect: true\n")
    story.mine.commit("Protect")
    story.apply("dev")


@when(parsers.re(r"I remove the endpoint from (?P<stage>dev|prod) and commit it"))
def remove_from_stage(story: Story, stage: str) -> None:
    story.mine.remove(f"endpoints/fraud/{stage}.yaml")
    story.mine.commit(f"Remove it from {stage}")


# ------------------------------------------------------------------------------------------------ two people at once


@when("I apply dev while a colleague is applying it", target_fixture="told")
def both_apply(story: Story) -> list[Locked]:
    """The colleague holds the lock and waits for the first step to become healthy while I try."""
    told: list[Locked] = []
    colleague = Workshop(story.mine.root, story.mine.clock, story.mine.number)
    ended: list[Exit] = []
    inside, leave = threading.Event(), threading.Event()

    def hold(_progress: object) -> None:
        inside.set()
        assert leave.wait(timeout=200)

    def apply_slowly() -> None:
        conduct = replace(colleague.conduct, progress=hold)
        ended.append(apply_with(colleague, conduct))

    thread = threading.Thread(target=apply_slowly)
    thread.start()
    assert inside.wait(timeout=200)
    story.apply("dev")
    if isinstance(story.refused, Locked):
        told.append(story.refused)
    leave.set()
    thread.join()
    assert ended == [Exit.DONE]
    return told


def apply_with(person: Workshop, conduct: Conduct) -> Exit:
    with person.opened() as workspace:
        return apply(workspace, "dev", ApplyRequest(), conduct).exit_code


@then("one of us is told with exit code 7 who holds the lock")
def is_told(told: list[Locked]) -> None:
    (error,) = told
    assert error.exit_code == 7
    assert "Test User" in str(error)


@then("every change was made once")
def made_once(story: Story) -> None:
    calls: Callable[[str], int] = story.far().calls.__getitem__
    assert calls("put") == 3
    assert {c.action.value for c in story.mine.plan().changes} == {"none"}


# ---------------------------------------------------------------------------------------------------- the auditor


def at(story: Story, moment: float) -> None:
    """Let it be that time."""
    story.mine.clock.wall += moment - story.mine.clock.time()


@given("fraud:1 serves in prod since a Monday")
def since_monday(story: Story) -> None:
    at(story, MONDAY)
    story.serve("prod", "fraud:1")


@given("fraud:2 serves in prod since the Tuesday after")
def since_tuesday(story: Story) -> None:
    at(story, MONDAY + DAY)
    story.serve("prod", "fraud:2")


def asked(story: Story, moment: float) -> Past:
    with story.mine.opened() as workspace:
        return served_at(workspace, "prod", moment, story.endpoint("prod"))


@when("the auditor asks what served in prod on that Monday evening", target_fixture="past")
def on_monday(story: Story) -> Past:
    return asked(story, MONDAY + DAY / 3)


@when("the auditor asks what served in prod on the Wednesday", target_fixture="past")
def on_wednesday(story: Story) -> Past:
    return asked(story, MONDAY + 2 * DAY)


@when("the auditor asks what served in prod on the Sunday before", target_fixture="past")
def on_sunday(story: Story) -> str:
    try:
        asked(story, MONDAY - DAY)
    except NotFound as error:
        return str(error)
    raise AssertionError("something was known")


@then("nothing is known of that time")
def nothing_known(past: str) -> None:
    assert "Nothing is known of that time" in past


@then(parsers.parse("the answer is {model:S} with the sha256 of its file, the commit and the person"))
def the_answer(story: Story, past: Past, model: str) -> None:
    (served,) = past.objects
    assert served.serves == (f"blue: {model} (100 %)",)
    name, _, version = model.partition(":")
    content = (story.mine.root / f"models/{name}/{version}.onnx").read_bytes()
    assert served.models == ((f"{model}/{version}.onnx", hashlib.sha256(content).hexdigest()),)
    assert served.source is not None
    assert served.source.who.startswith("Test User")
    commit = served.source.revision.split()[-1]
    assert git(story.mine.root, "rev-parse", commit) == story.commits[model]

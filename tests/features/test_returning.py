"""Versions that turn out to be bad."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from pytest_bdd import given, parsers, scenarios, then, when
from tests.features.conftest import Story
from tests.unit.engine.world import versions

from mlops.pipeline.applying import ApplyRequest
from mlops.pipeline.planning import Selection
from mlops.pipeline.rollback import Rollback, rollback
from mlops.resource import Address, Health, HealthState, Spec

scenarios("returning.feature")

CANARY = "rollout: {{strategy: canary, weights: [10]{more}}}\n"


def crashes(version: str) -> Callable[[Address, Spec], Health | None]:
    def judge(_address: Address, spec: Spec) -> Health | None:
        loaded = versions(spec).get(version, 0) > 0
        return Health(HealthState.FAILED, "out of memory") if loaded else None

    return judge


@pytest.fixture
def most() -> dict[str, int]:
    """The largest share that the new version ever had."""
    return {}


@given("fraud:2 crashes as soon as it has traffic")
def is_bad(story: Story) -> None:
    story.mine.add_model("fraud:2")
    story.far().judge = crashes("2")


@when("fraud:2 is mended")
def is_mended(story: Story) -> None:
    story.far().judge = None


@given(parsers.parse("{model:S} is declared to serve in dev as a canary"))
def declared_as_canary(story: Story, model: str, most: dict[str, int]) -> None:
    story.mine.add_model(model)
    story.declare("dev", model, CANARY.format(more=""))
    version = model.partition(":")[2]

    def look(verb: str, address: Address) -> None:
        if verb == "put":
            share = versions(story.far().objects[address].spec).get(version, 0)
            most["share"] = max(most.get("share", 0), share)

    story.far().after = look


@given(parsers.parse("{model:S} is declared to serve in dev as a canary that soaks for {hours:d} hours"))
def declared_to_soak(story: Story, model: str, hours: int) -> None:
    story.mine.add_model(model)
    story.declare("dev", model, CANARY.format(more=f", soak: {hours}h"))


@then("fraud:2 never had more than 10 % of the traffic")
def never_more(most: dict[str, int]) -> None:
    assert most["share"] == 10


@when("I apply dev and ask to try the endpoint again")
def apply_with_retry(story: Story) -> None:
    story.apply("dev", ApplyRequest(Selection(retry=frozenset({story.endpoint()}))))


@when("I roll dev back now", target_fixture="back")
def roll_back(story: Story) -> Rollback:
    with story.mine.opened() as workspace:
        return rollback(workspace, "dev", "fraud", now=ApplyRequest(reason="it pages"), conduct=story.mine.conduct)


@then("the prepared change says fraud:1 where Git says fraud:2")
def prepared(back: Rollback) -> None:
    changed = [line for line in back.patch.splitlines() if line[:1] in "+-" and line[:2] not in ("++", "--")]
    assert [line.split("model: ")[1] for line in changed] == ['"fraud:2"}', '"fraud:1"}']


@when("I take the prepared change")
def take(story: Story, back: Rollback) -> None:
    subprocess.run(["git", "apply"], cwd=story.mine.root, input=back.patch, text=True, check=True)


@when(parsers.re(r"(?P<hours>\d) hours? pass(es)? and I apply dev"), converters={"hours": int})
def time_passes(story: Story, hours: int) -> None:
    story.mine.clock.advance(hours * 3600.0)
    story.apply("dev")


@then("dev serves fraud:1 with 90 % and fraud:2 with 10 %")
def shared(story: Story) -> None:
    assert story.shares() == {"fraud:1": 90, "fraud:2": 10}

"""What every story needs: a repository, a person in front of it, and the words for what they do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pytest_bdd import given, parsers, then, when
from tests.features.workshop import Workshop

from mlops.drivers.memory import MemoryTarget
from mlops.errors import Exit, MlopsError
from mlops.pipeline.applying import Applied, ApplyRequest
from mlops.plan import Action, Plan
from mlops.plan.change import EFFECTIVE
from mlops.plan.live import uses_of
from mlops.resource import Address, Kind
from mlops.rollout import traffic_of

COMPUTES = {"dev": "here", "prod": "live"}


@dataclass
class Story:
    """What has happened so far."""

    mine: Workshop
    applied: Applied | None = None
    refused: MlopsError | None = None
    plan: Plan | None = None
    written: int = 0
    commits: dict[str, str] = field(default_factory=dict)

    def far(self, stage: str = "dev") -> MemoryTarget:
        return self.mine.far(COMPUTES[stage])

    def endpoint(self, stage: str = "dev") -> Address:
        return Address(Kind.ENDPOINT, f"fraud@{COMPUTES[stage]}")

    def writes(self) -> int:
        return sum(self.far(s).calls["put"] + self.far(s).calls["delete"] for s in COMPUTES)

    def declare(self, stage: str, model: str, more: str = "") -> None:
        self.mine.declare("fraud", stage, model, compute=COMPUTES[stage], more=more)

    def apply(self, stage: str, request: ApplyRequest | None = None) -> None:
        """Apply; an error that the user would see is kept."""
        self.applied = self.refused = None
        self.written = self.writes()
        try:
            self.applied = self.mine.apply(stage, request)
        except MlopsError as error:
            self.refused = error

    def serve(self, stage: str, model: str) -> None:
        """Declare, commit and apply, as a matter of course."""
        self.mine.add_model(model)
        self.declare(stage, model)
        self.commits[model] = self.mine.commit(f"Serve {model} in {stage}")
        self.apply(stage)
        assert self.refused is None
        assert self.applied is not None
        assert self.applied.exit_code is Exit.DONE

    def shares(self, stage: str = "dev") -> dict[str, int]:
        """Model version to percent of the traffic."""
        observed = self.far(stage).objects[self.endpoint(stage)]
        deployments = observed.spec["deployments"]
        assert isinstance(deployments, dict)
        found: dict[str, int] = {}
        for name, weight in traffic_of(observed.spec).items():
            model = deployments[name]["model"]
            key = f"{model['name']}:{model['version']}"
            found[key] = found.get(key, 0) + weight
        return {key: weight for key, weight in found.items() if weight}


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(Workshop.begin(tmp_path / "clone"))


# ---------------------------------------------------------------------------------------------------------- what was


@given("a new repository")
def new_repository(story: Story) -> None:
    assert story.far().objects == {}


@given(parsers.parse("model version {model:S}"))
@when(parsers.parse("model version {model:S} arrives"))
def add_model(story: Story, model: str) -> None:
    story.mine.add_model(model)
    story.mine.commit(f"Add {model}")


@given(parsers.re(r"(?P<model>\S+) serves in (?P<stage>dev|prod)"))
def serves_in(story: Story, model: str, stage: str) -> None:
    story.serve(stage, model)


@given(parsers.parse("{model:S} serves in dev and in prod"))
def serves_in_both(story: Story, model: str) -> None:
    story.serve("dev", model)
    story.serve("prod", model)


@given(parsers.re(r"(?P<model>\S+) is declared to serve in (?P<stage>dev|prod)"))
def declared_to_serve(story: Story, model: str, stage: str) -> None:
    story.declare(stage, model)


# --------------------------------------------------------------------------------------------------- what is done


@when(parsers.re(r"I plan (?P<stage>dev|prod)"))
def plan_stage(story: Story, stage: str) -> None:
    story.written = story.writes()
    story.plan = story.mine.plan(stage)


@given(parsers.re(r"I apply (?P<stage>dev|prod)"))
@when(parsers.re(r"I apply (?P<stage>dev|prod)"))
def apply_stage(story: Story, stage: str) -> None:
    story.apply(stage)


# -------------------------------------------------------------------------------------------------------- what is


@then("nothing was changed")
@then("dev was not touched")
def not_touched(story: Story) -> None:
    assert story.writes() == story.written


@then(parsers.parse("it ends with exit code {code:d}"))
def ends_with(story: Story, code: int) -> None:
    assert story.refused is None
    assert story.applied is not None
    assert story.applied.exit_code == code


@then(parsers.parse('it is refused with exit code {code:d} because "{summary}"'))
def refused_because(story: Story, code: int, summary: str) -> None:
    assert story.refused is not None
    assert story.refused.exit_code == code
    assert summary in str(story.refused)
    assert story.writes() == story.written


@then(parsers.re(r"(?P<stage>dev|prod) serves (?P<model>\S+)"))
def serves(story: Story, stage: str, model: str) -> None:
    assert story.shares(stage) == {model: 100}
    observed = story.far(stage).objects[story.endpoint(stage)]
    assert {a.name for a in uses_of(observed) if a.kind is Kind.MODEL} == {model}


@then(parsers.re(r"the plan of (?P<stage>dev|prod) is empty"))
def plan_is_empty(story: Story, stage: str) -> None:
    assert {c.action for c in story.mine.plan(stage).changes} == {Action.NONE}


def effective(plan: Plan) -> dict[str, str]:
    """Address without its compute, to action."""
    return {str(c.address).partition("@")[0]: c.action.value for c in plan.changes if c.action in EFFECTIVE}

"""Deploying and promoting models."""

from __future__ import annotations

from pytest_bdd import parsers, scenarios, then, when
from tests.features.conftest import Story, effective
from tests.features.workshop import git

from mlops.pipeline.history import history

scenarios("deploying.feature")


@then(parsers.parse('the plan creates "{names}"'))
def plan_creates(story: Story, names: str) -> None:
    assert story.plan is not None
    assert effective(story.plan) == dict.fromkeys(names.split(", "), "create")


@when(parsers.parse("I change one line of prod to {model:S} and commit it"))
def change_one_line(story: Story, model: str) -> None:
    story.declare("prod", model)
    added = [line for line in git(story.mine.root, "diff").splitlines() if line.startswith("+") and line[1] != "+"]
    assert len(added) == 1
    story.commits["promotion"] = story.mine.commit(f"Promote {model}")


@when(parsers.parse("I change one line of prod to {model:S} and do not commit it"))
def change_without_commit(story: Story, model: str) -> None:
    story.declare("prod", model)


@then("the plan of prod updates only the endpoint")
def updates_only_the_endpoint(story: Story) -> None:
    assert effective(story.mine.plan("prod")) == {"endpoint/fraud": "update"}


@then("the last record of prod says who did it and from which commit")
def last_record(story: Story) -> None:
    with story.mine.opened() as workspace:
        (entry,) = history(workspace, "prod", limit=1)
    assert entry.who.startswith("Test User")
    assert story.commits["promotion"].startswith(entry.revision.split()[-1])
    assert entry.why == "Promote fraud:2"


@when("a job applies the commit before to prod")
def old_job(story: Story) -> None:
    """As a re-run of an old job does: the branch's name, at an older commit."""
    git(story.mine.root, "reset", "-q", "--hard", "HEAD~1")
    story.apply("prod")


@then(parsers.parse('the plan of dev waits for "{what}"'))
def plan_waits(story: Story, what: str) -> None:
    waiting = [c for c in story.mine.plan("dev").changes if c.waits]
    assert [c.waits for c in waiting] == [(what,)]

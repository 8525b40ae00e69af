"""A saved plan is shown where there is nothing but the file."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.features.workshop import Workshop

from mlops.plan.file import write_plan
from mlops.reports.plan.markdown import render_plan_markdown
from mlops.reports.plan.text import render_plan

Mlops = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A repository with one endpoint that is not live."""
    made = Workshop.begin(tmp_path / "shop")
    made.add_model("fraud:1")
    made.declare("fraud", "dev", "fraud:1")
    return made


def test_it_is_shown_as_it_was_made(workshop: Workshop, mlops: Mlops, tmp_path: Path) -> None:
    plan = workshop.plan()
    (tmp_path / "plan.json").write_bytes(write_plan(plan))
    assert mlops("show", "plan.json").stdout == render_plan(plan)
    assert mlops("show", "./plan.json", "--format", "markdown").stdout == render_plan_markdown(plan)
    assert json.loads(mlops("show", "plan.json", "--format", "json").stdout) == json.loads(write_plan(plan))


def test_the_command_that_applies_it_can_be_copied(workshop: Workshop, mlops: Mlops) -> None:
    for command in (("plan",), ("snapshot",)):
        done = mlops(*command, "--stage", "dev", "--out", "a file.json", cwd=workshop.root)
        assert done.returncode == 0
        assert done.stderr.endswith("'a file.json'\n")


def test_what_is_no_plan_is_refused(mlops: Mlops, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}")
    done = mlops("show", "plan.json")
    assert done.returncode == 1
    assert done.stderr.startswith("error: A plan of another version\n")


def test_only_a_plan_is_shown_as_markdown(workshop: Workshop, mlops: Mlops) -> None:
    done = mlops("show", "fraud", "--stage", "dev", "--format", "markdown", cwd=workshop.root)
    assert done.returncode == 64
    assert "Only a saved plan" in done.stderr


def test_a_file_is_not_taken_for_an_endpoint_of_its_name(workshop: Workshop, mlops: Mlops) -> None:
    (workshop.root / "fraud").write_text("{}")
    done = mlops("show", "fraud", "--stage", "dev", cwd=workshop.root)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "endpoint/fraud@here")

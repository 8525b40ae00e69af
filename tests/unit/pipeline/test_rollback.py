"""The patch with which Git is made to declare again what was good."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.features.workshop import Workshop, git

from mlops.errors import Exit
from mlops.pipeline.applying import ApplyRequest
from mlops.pipeline.history import history
from mlops.pipeline.rollback import Rollback, rollback


def patch_of(workshop: Workshop, stage: str = "dev") -> str:
    with workshop.opened() as workspace:
        return rollback(workspace, stage, "fraud").patch


def take(root: Path, patch: str) -> None:
    subprocess.run(["git", "apply"], cwd=root, input=patch, text=True, check=True)


def read(workshop: Workshop, stage: str) -> str:
    return (workshop.root / f"endpoints/fraud/{stage}.yaml").read_text(encoding="utf-8")


def test_the_files_of_other_stages_are_left_alone(workshop: Workshop) -> None:
    workshop.apply()
    workshop.declare("fraud", "dev", "fraud:2")
    workshop.declare("fraud", "prod", "fraud:3", compute="live")
    workshop.commit("Promote")
    workshop.apply()
    take(workshop.root, patch_of(workshop))
    assert "fraud:1" in read(workshop, "dev")
    assert "fraud:3" in read(workshop, "prod")


def test_an_edit_that_was_never_committed_is_taken_back_too(workshop: Workshop) -> None:
    workshop.apply()
    workshop.declare("fraud", "dev", "fraud:2")
    workshop.apply()
    take(workshop.root, patch_of(workshop))
    assert git(workshop.root, "status", "--porcelain") == ""


def test_the_repository_may_be_a_folder_of_a_larger_one(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "company")
    workshop = Workshop.begin(tmp_path / "company" / "ml")
    (workshop.root / ".git").rename(tmp_path / "unused")
    workshop.add_model("fraud:1")
    workshop.add_model("fraud:2")
    workshop.declare("fraud", "dev", "fraud:1")
    workshop.commit("Declare")
    workshop.apply()
    workshop.declare("fraud", "dev", "fraud:2")
    workshop.commit("Promote")
    workshop.apply()
    take(workshop.root, patch_of(workshop))
    assert "fraud:1" in read(workshop, "dev")


def now(workshop: Workshop, reason: str = "") -> Rollback:
    with workshop.opened() as workspace:
        return rollback(workspace, "dev", "fraud", now=ApplyRequest(reason=reason), conduct=workshop.conduct)


@pytest.fixture
def promoted(workshop: Workshop) -> Workshop:
    """fraud:2 serves where fraud:1 did."""
    workshop.apply()
    workshop.declare("fraud", "dev", "fraud:2")
    workshop.commit("Promote fraud to 2")
    workshop.apply()
    return workshop


@pytest.mark.parametrize(("reason", "said"), [("", "rolled back"), ("it is 3 am", "it is 3 am")])
def test_why_is_no_subject_of_the_commit_that_is_left(promoted: Workshop, reason: str, said: str) -> None:
    now(promoted, reason)
    with promoted.opened() as workspace:
        whys = {entry.why for entry in history(workspace, "dev", limit=2)}
    assert whys == {said}


def test_a_rollback_that_is_killed_half_way_is_not_undone_by_the_next_apply(promoted: Workshop) -> None:
    def kill(verb: str, _address: object) -> None:
        if verb == "put":
            raise KeyboardInterrupt

    promoted.far().after = kill
    with pytest.raises(KeyboardInterrupt):
        now(promoted)
    promoted.far().after = lambda _verb, _address: None
    assert promoted.apply().exit_code is Exit.BLOCKED
    applied = now(promoted).applied
    assert applied is not None
    assert applied.exit_code is Exit.DONE
    (found,) = promoted.far().objects.values()
    assert "'version': '1'" in str(found.spec)
    assert "'version': '2'" not in str(found.spec)


def test_there_is_no_patch_where_the_files_declare_it_already(workshop: Workshop) -> None:
    workshop.apply()
    workshop.declare("fraud", "dev", "fraud:2")
    workshop.apply()
    workshop.declare("fraud", "dev", "fraud:1")
    assert patch_of(workshop) == ""

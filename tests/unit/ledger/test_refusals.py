"""What is no ledger of ours, was spoiled, or cannot be written: refused with a reason, and left alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.git.room import git, make_repository
from tests.unit.ledger.rig import (
    ENDPOINT,
    PROJECT,
    ManualClock,
    apply_once,
    intent,
    open_git,
    open_ledger,
)

from mlops.errors import InvalidRepository, MlopsError
from mlops.git import GitRepository
from mlops.ledger import CorruptLedger, Ledger

NAME = "refs/heads/ledger/dev"


def test_a_foreign_branch_of_that_name_is_refused_and_left_alone(root: Path) -> None:
    git(root, "branch", "ledger/dev")
    before = git(root, "rev-parse", NAME)
    for use in (Ledger.tip, Ledger.state, lambda ledger: ledger.begin(intent({}))):
        with pytest.raises(CorruptLedger, match="Not a ledger"):
            use(open_ledger(root))
    assert git(root, "rev-parse", NAME) == before


def test_a_branch_that_points_to_nothing_is_refused(root: Path) -> None:
    (root / ".git/refs/heads/ledger").mkdir(parents=True)
    (root / ".git" / NAME).write_text("1" * 40 + "\n")
    with pytest.raises(CorruptLedger, match="not a commit"):
        open_ledger(root).begin(intent({}))


def test_the_ledger_of_another_project_is_refused(root: Path) -> None:
    apply_once(open_ledger(root), 1)
    with pytest.raises(CorruptLedger, match="another project") as caught:
        Ledger.open(open_git(root), "dev", project="other").begin(intent({}))
    assert PROJECT in caught.value.diagnostics[0].detail


def test_the_ledger_of_another_stage_is_refused(root: Path) -> None:
    apply_once(open_ledger(root), 1)
    git(root, "branch", "ledger/prod", "ledger/dev")
    with pytest.raises(CorruptLedger, match='stage "dev"'):
        open_ledger(root, stage="prod").state()


def _rewrite(root: Path, name: str, old: str, new: str) -> None:
    """Replace text in a file of the tip, as somebody with Git and bad intent would."""
    content = git(root, "show", f"{NAME}:{name}")
    assert old in content
    blob = git(root, "hash-object", "-w", "--stdin", data=content.replace(old, new) + "\n")
    listing = git(root, "ls-tree", NAME).splitlines()
    changed = [f"100644 blob {blob}\t{name}" if line.endswith(f"\t{name}") else line for line in listing]
    tree = git(root, "mktree", data="\n".join(changed) + "\n")
    git(root, "update-ref", NAME, git(root, "commit-tree", tree, "-p", f"{NAME}^", "-m", "x"))


@pytest.mark.parametrize("name", ["record.json", "state.json"])
def test_a_newer_format_is_refused_and_says_so(root: Path, name: str) -> None:
    apply_once(open_ledger(root), 1)
    _rewrite(root, name, '"format": 1', '"format": 2')
    with pytest.raises(CorruptLedger, match="newer than this mlops"):
        open_ledger(root).begin(intent({}))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("record.json", '"sequence": 2', '"sequence": 7'),
        ("state.json", '"sequence": 2,\n"stage"', '"sequence": 7,\n"stage"'),
        ("state.json", '"run": null', '"run": 5'),
        ("state.json", '{"applied"', '["applied"'),
        ("record.json", '"event": "finished"', '"event": "celebrated"'),
    ],
)
def test_a_tip_that_was_edited_is_refused(root: Path, name: str, old: str, new: str) -> None:
    apply_once(open_ledger(root), 1)
    _rewrite(root, name, old, new)
    with pytest.raises(CorruptLedger):
        open_ledger(root).state()


def test_a_state_that_records_do_not_add_up_to_is_found_by_replaying(root: Path) -> None:
    ledger = open_ledger(root)
    goal = apply_once(ledger, 1)
    _rewrite(root, "state.json", f'"goal": "{goal}"', f'"goal": "{"f" * 64}"')
    assert open_ledger(root).state().applied[ENDPOINT].goal == "f" * 64
    problems = open_ledger(root).verify()
    assert [problem.summary for problem in problems] == ["The ledger does not add up"]


def test_records_that_were_cut_out_are_noticed(root: Path) -> None:
    ledger = open_ledger(root)
    for number in range(3):
        apply_once(ledger, number)
    tree = git(root, "rev-parse", f"{NAME}^{{tree}}")
    git(root, "update-ref", NAME, git(root, "commit-tree", tree, "-p", f"{NAME}~3", "-m", "x"))
    with pytest.raises(CorruptLedger, match="counts 6 records and holds 4"):
        list(open_ledger(root).records())
    with pytest.raises(CorruptLedger, match="counts 6 records and holds 4"):
        open_ledger(root).at(0)


def test_a_spec_that_was_exchanged_is_refused(root: Path) -> None:
    goal = apply_once(open_ledger(root), 1)
    blob = git(root, "hash-object", "-w", "--stdin", data='{"number":666}')
    shard = git(root, "mktree", data=f"100644 blob {blob}\t{goal[2:]}.json\n")
    specs = git(root, "mktree", data=f"040000 tree {shard}\t{goal[:2]}\n")
    listing = [line for line in git(root, "ls-tree", NAME).splitlines() if not line.endswith("\tspecs")]
    tree = git(root, "mktree", data="\n".join([*listing, f"040000 tree {specs}\tspecs"]) + "\n")
    git(root, "update-ref", NAME, git(root, "commit-tree", tree, "-p", f"{NAME}^", "-m", "x"))
    with pytest.raises(CorruptLedger, match="another digest"):
        open_ledger(root).spec(goal)


@pytest.mark.parametrize("stage", ["", "../dev", "a b", "-x", "a.lock", "a/b", "a\nb", "x" * 64])
def test_a_stage_that_cannot_name_a_branch_is_refused(root: Path, stage: str) -> None:
    with pytest.raises(InvalidRepository, match="Not the name of a stage"):
        open_ledger(root, stage=stage)


@pytest.mark.parametrize("remote", ["origin", "--upload-pack=x", ""])
def test_a_remote_that_the_clone_does_not_have_is_refused(root: Path, remote: str) -> None:
    with pytest.raises(InvalidRepository, match="No such remote"):
        open_ledger(root, remote=remote)


@contextmanager
def _nobody() -> Iterator[None]:
    """Be a user whom permissions stop, where the tests run as root, whom they do not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_repository_that_cannot_be_written_can_be_read_and_says_why_it_cannot_be_locked(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    apply_once(open_ledger(root), 1)
    everything = (root, *root.rglob("*"))
    for path in everything:
        path.chmod(0o555)
    for path in tmp_path, tmp_path.parent, tmp_path.parent.parent:
        path.chmod(0o755)
    trusting = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    with _nobody():
        environment = os.environ | trusting | {"GIT_CONFIG_GLOBAL": os.devnull}
        with GitRepository.open(root, environment=environment) as repository:
            ledger = Ledger.open(repository, "dev", project=PROJECT, clock=ManualClock())
            assert ledger.state().sequence == 2
            with pytest.raises(MlopsError, match="The repository cannot be written"):
                ledger.begin(intent({}))
    for path in everything:
        path.chmod(0o755)

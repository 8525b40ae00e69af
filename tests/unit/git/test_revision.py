"""What is checked out, told without touching it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.git.room import Calls, commit, git, make_repository, objects

from mlops.git import GitRepository, Revision


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "r")


def _revision(root: Path) -> Revision:
    return GitRepository.open(root).revision()


def test_a_clean_tree_is_its_commit(root: Path) -> None:
    assert _revision(root) == Revision(git(root, "rev-parse", "HEAD"), "main", dirty=False)


def test_an_edited_a_staged_and_a_new_file_each_make_it_dirty(root: Path) -> None:
    (root / "a.txt").write_text("b\n")
    assert _revision(root).dirty
    git(root, "add", "a.txt")
    assert _revision(root).dirty
    git(root, "commit", "-q", "-m", "b")
    assert not _revision(root).dirty
    (root / "new.yaml").write_text("new\n")
    assert _revision(root).dirty


def test_ignored_files_and_our_own_folder_do_not_make_it_dirty(root: Path) -> None:
    (root / ".gitignore").write_text("*.log\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Ignore")
    (root / "x.log").write_text("x\n")
    for folder in (root / ".mlops", root / "team" / ".mlops"):
        folder.mkdir(parents=True)
        (folder / "cache").write_text("x\n")
    (root / "team" / "mlops.yaml").write_text("project: x\n")
    git(root, "add", "team/mlops.yaml")
    git(root, "commit", "-q", "-m", "A project in a folder")
    assert not _revision(root).dirty
    (root / "team" / ".mlops.yaml").write_text("not ours\n")
    assert _revision(root).dirty


def test_before_the_first_commit_there_is_a_branch_and_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert _revision(tmp_path) == Revision(None, "main", dirty=False)


def test_a_detached_head_has_no_branch(root: Path) -> None:
    git(root, "checkout", "-q", "--detach")
    assert _revision(root).branch is None


@pytest.mark.parametrize(("sha", "branch"), [("{}", "release"), ("0" * 40, None)])
def test_a_detached_head_takes_its_branch_from_the_job_of_that_commit_only(
    root: Path, sha: str, branch: str | None
) -> None:
    head = git(root, "rev-parse", "HEAD")
    git(root, "checkout", "-q", "--detach")
    job = {"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/release", "GITHUB_SHA": sha.format(head)}
    assert GitRepository.open(root, environment=os.environ | job).revision().branch == branch


def test_a_bare_repository_tells_its_head(tmp_path: Path, root: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(root), "bare.git")
    assert _revision(tmp_path / "bare.git") == Revision(git(root, "rev-parse", "HEAD"), "main", dirty=False)
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    assert _revision(tmp_path / "empty.git") == Revision(None, "main", dirty=False)


def test_the_tree_of_a_dirty_revision_is_what_git_would_commit(root: Path) -> None:
    (root / "a.txt").write_text("edited\n")
    (root / "new").mkdir()
    (root / "new" / "file").write_text("new\n")
    for folder in (root / ".mlops" / "deep", root / "new" / ".mlops"):
        folder.mkdir(parents=True)
        (folder / "cache").write_text("ours\n")
    tree = GitRepository.open(root).revision(with_tree=True).tree
    for folder in (root / ".mlops" / "deep", root / "new" / ".mlops"):
        (folder / "cache").unlink()
    git(root, "add", "-A")
    assert tree == git(root, "write-tree")


def test_the_tree_of_a_clean_revision_is_that_of_its_commit(root: Path) -> None:
    assert GitRepository.open(root).revision(with_tree=True).tree == git(root, "rev-parse", "HEAD^{tree}")


def test_hashing_the_tree_writes_neither_index_nor_objects_nor_head(root: Path) -> None:
    (root / "a.txt").write_text("edited\n")
    (root / "new.txt").write_text("new\n")
    (root / ".mlops").mkdir()
    (root / ".gitignore").write_text(".mlops/\n")
    index, before = (root / ".git" / "index").read_bytes(), objects(root)
    assert GitRepository.open(root).revision(with_tree=True).tree is not None
    assert (root / ".git" / "index").read_bytes() == index
    assert objects(root) == before
    assert git(root, "status", "--porcelain") == " M a.txt\n?? .gitignore\n?? new.txt"


def test_a_survey_takes_two_processes_and_names_what_is_tracked(root: Path) -> None:
    (root / ".mlops").mkdir()
    (root / ".mlops" / "nasty\nname").write_text("x")
    git(root, "add", "-f", "-A")
    commit(root, "tracked")
    calls = Calls()
    repository = GitRepository.open(root, before=calls)
    calls.made.clear()
    survey = repository.survey()
    assert survey.tracked == (".mlops/nasty\nname",)
    assert survey.revision == repository.revision()
    assert len(calls.made) == 3
    assert GitRepository.open(root).tracked("a.txt") == ("a.txt",)


def test_a_hook_of_the_user_is_never_run(root: Path, tmp_path: Path) -> None:
    for name in ("fsmonitor-watchman", "post-index-change", "reference-transaction"):
        hook = root / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        hook.chmod(0o755)
    git(root, "config", "core.fsmonitor", ".git/hooks/fsmonitor-watchman")
    (root / "a.txt").write_text("edited\n")
    assert GitRepository.open(root).revision(with_tree=True).dirty
    assert not (tmp_path / "ran").exists()

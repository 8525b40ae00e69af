"""Finding the repository that a folder belongs to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.git.room import Calls, git, make_repository

from mlops.errors import InvalidRepository, MlopsError
from mlops.git import GitRepository


def test_a_work_tree_is_found_from_a_folder_below_with_one_process(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    (root / "deep" / "er").mkdir(parents=True)
    calls = Calls()
    found = GitRepository.open(root / "deep" / "er", before=calls)
    assert (found.root, found.git_directory, found.common_directory) == (root, root / ".git", root / ".git")
    assert not found.bare
    assert not found.shallow
    assert calls.made == ["rev-parse"]


def test_a_bare_repository_has_its_git_folder_as_root(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r.git", "--bare")
    found = GitRepository.open(root)
    assert found.bare
    assert found.root == root


def test_the_git_folder_itself_is_no_work_tree(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    assert GitRepository.open(root / ".git").bare


def test_a_linked_work_tree_shares_the_common_folder(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    git(root, "worktree", "add", "-q", str(tmp_path / "linked"), "-b", "other")
    found = GitRepository.open(tmp_path / "linked")
    assert found.root == tmp_path / "linked"
    assert found.common_directory == root / ".git"
    assert found.git_directory == root / ".git" / "worktrees" / "linked"


def test_a_shallow_clone_knows_that_it_is_one(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    (root / "a.txt").write_text("b\n")
    git(root, "commit", "-q", "-am", "More")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{root}", "clone")
    assert GitRepository.open(tmp_path / "clone").shallow


def test_outside_of_git_the_error_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(InvalidRepository) as caught:
        GitRepository.open(tmp_path)
    assert caught.value.diagnostics[0].command == f"git init {tmp_path}"


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(MlopsError, match="nowhere does not exist"):
        GitRepository.open(tmp_path / "nowhere")


def test_without_git_on_the_path_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MlopsError, match="Git is not installed"):
        GitRepository.open(tmp_path)


def test_a_repository_of_another_owner_says_how_to_trust_it(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    with pytest.raises(InvalidRepository) as caught:
        GitRepository.open(root, environment=os.environ | {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})
    assert caught.value.diagnostics[0].command.startswith("git config --global --add safe.directory")


def test_variables_of_a_hook_do_not_lead_to_another_repository(tmp_path: Path) -> None:
    one, other = make_repository(tmp_path / "one"), make_repository(tmp_path / "other")
    hook = {"GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": str(other / ".git/index")}
    assert GitRepository.open(one, environment=os.environ | hook).root == one


@pytest.mark.parametrize("name", ["-dash", "with space", "colon:colon", 'quote"quote', "ünïcode"])
def test_folders_with_unusual_names_are_opened_and_hashed(tmp_path: Path, name: str) -> None:
    root = make_repository(tmp_path / name)
    (root / "new.txt").write_text("new\n")
    with GitRepository.open(root) as found:
        revision = found.revision(with_tree=True)
    git(root, "add", "-A")
    assert revision.tree == git(root, "write-tree")


def test_a_repository_with_sha256_objects_is_known_as_one(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", "--object-format=sha256")
    assert GitRepository.open(root).hash_name == "sha256"

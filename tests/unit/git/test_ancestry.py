"""Whether one commit contains another, also where a clone does not hold all of the history."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.git.room import commit, git, make_repository

from mlops.errors import Blocked
from mlops.git import GitRepository


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "r")


def test_a_commit_contains_itself_and_what_came_before_it_and_nothing_later(root: Path) -> None:
    first, second = commit(root, "1"), commit(root, "2")
    repository = GitRepository.open(root)
    assert repository.is_ancestor(first, first)
    assert repository.is_ancestor(first, second)
    assert not repository.is_ancestor(second, first)


def test_a_shallow_clone_is_deepened_until_the_answer_is_sure(root: Path, tmp_path: Path) -> None:
    first = commit(root, "1")
    git(root, "checkout", "-q", "-b", "aside")
    aside = commit(root, "aside")
    git(root, "checkout", "-q", "main")
    last = [commit(root, str(number)) for number in range(2, 6)][-1]
    for name in ("one", "two"):
        git(tmp_path, "clone", "-q", "--depth=1", "--no-single-branch", f"file://{root}", name)
    assert GitRepository.open(tmp_path / "one").is_ancestor(first, last)
    assert not GitRepository.open(tmp_path / "two").is_ancestor(aside, last)


def test_a_shallow_clone_that_cannot_be_deepened_refuses_to_guess(root: Path, tmp_path: Path) -> None:
    first, last = commit(root, "1"), commit(root, "2")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{root}", "clone")
    git(tmp_path / "clone", "remote", "set-url", "origin", str(tmp_path / "gone"))
    with pytest.raises(Blocked, match="Ancestry is not known") as caught:
        GitRepository.open(tmp_path / "clone").is_ancestor(first, last)
    assert caught.value.diagnostics[0].command == "git fetch --unshallow"


def test_a_commit_that_nobody_has_is_refused(root: Path) -> None:
    with pytest.raises(Blocked, match="Ancestry is not known"):
        GitRepository.open(root).is_ancestor("1" * 40, commit(root, "1"))


def test_a_replaced_commit_does_not_change_the_answer(root: Path) -> None:
    first = commit(root, "1")
    second = commit(root, "2")
    git(root, "replace", "--graft", second)
    assert GitRepository.open(root).is_ancestor(first, second)

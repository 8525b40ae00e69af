"""Moving refs by compare-and-swap."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.unit.git.room import commit, git, make_repository

from mlops.errors import MlopsError
from mlops.git import GitRepository
from mlops.git.refs import RefUpdate, update_refs

NAME = "refs/heads/ledger/dev"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "r")


def _move(root: Path, *updates: RefUpdate) -> bool:
    return update_refs(GitRepository.open(root).command, root / ".git", updates, patience=0.1)


def test_a_ref_moves_only_from_where_it_was_expected(root: Path) -> None:
    first, second, third = (commit(root, text) for text in "123")
    assert _move(root, RefUpdate(NAME, first, None))
    assert not _move(root, RefUpdate(NAME, second, None))
    assert not _move(root, RefUpdate(NAME, third, second))
    assert _move(root, RefUpdate(NAME, second, first))
    assert git(root, "rev-parse", NAME) == second


def test_a_ref_that_is_gone_is_not_where_it_was_expected(root: Path) -> None:
    first, second = commit(root, "1"), commit(root, "2")
    assert not _move(root, RefUpdate(NAME, second, first))


def test_all_refs_move_or_none(root: Path) -> None:
    first, second = commit(root, "1"), commit(root, "2")
    other = RefUpdate("refs/mlops/lease/dev", first, None)
    assert not _move(root, RefUpdate(NAME, second, first), other)
    assert git(root, "for-each-ref", "refs/mlops") == ""
    assert _move(root, RefUpdate(NAME, second, None), other)
    assert git(root, "rev-parse", "refs/mlops/lease/dev") == first


def test_a_ref_cannot_point_to_what_is_not_there(root: Path) -> None:
    with pytest.raises(MlopsError, match="Git failed"):
        _move(root, RefUpdate(NAME, "1" * 40, None))


def test_a_lock_file_that_a_killed_git_left_is_cleared(root: Path) -> None:
    lock = root / ".git" / f"{NAME}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    long_ago = time.time() - 3600
    os.utime(lock, (long_ago, long_ago))
    assert _move(root, RefUpdate(NAME, commit(root, "1"), None))
    assert not lock.exists()


def test_a_lock_file_that_may_be_in_use_is_left_and_named(root: Path) -> None:
    lock = root / ".git" / f"{NAME}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    soon = time.time() + 3600  # however slow this machine is, it does not look as if somebody had left it
    os.utime(lock, (soon, soon))
    with pytest.raises(MlopsError, match="A lock file of Git stays") as caught:
        _move(root, RefUpdate(NAME, commit(root, "1"), None))
    assert caught.value.diagnostics[0].command == f"rm {lock}"
    assert lock.exists()


def test_a_packed_ref_moves_too(root: Path) -> None:
    first, second = commit(root, "1"), commit(root, "2")
    assert _move(root, RefUpdate(NAME, first, None))
    git(root, "pack-refs", "--all")
    assert _move(root, RefUpdate(NAME, second, first))

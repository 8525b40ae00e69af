"""Other Git processes in the way, and how ours stay out of theirs."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from tests.scoring.processes import is_running
from tests.unit.git.room import commit, git, make_repository

from mlops.errors import MlopsError
from mlops.git import GitRepository
from mlops.git.command import TimedOut, end
from mlops.git.contention import Contention
from mlops.git.refs import RefUpdate, update_refs

MOVED = (
    "error: cannot lock ref 'refs/remotes/origin/ledger/dev': is at 182e5a933488cf4116e7f1cb2375ef309185e1c7 "
    "but expected d32cef67b0835bbead5f201310c70d7cf0ada500"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "r")


def test_a_ref_that_moved_is_worth_another_try_where_any_value_will_do() -> None:
    assert Contention(100).wait(MOVED, moved=True)
    assert not Contention(100).wait(MOVED)


def test_patience_ends() -> None:
    assert not Contention(-1).wait(MOVED, moved=True)


@pytest.mark.parametrize("messages", ["", "fatal: unable to access: Could not resolve host", "fatal: bad object"])
def test_other_troubles_are_not_waited_for(messages: str) -> None:
    assert not Contention(100).wait(messages, moved=True)


def test_a_lock_file_elsewhere_is_never_touched(tmp_path: Path) -> None:
    other = tmp_path / "index.lock"
    other.touch()
    os.utime(other, (1, 1))
    assert not Contention(-1).wait(f"fatal: Unable to create '{other}': File exists.")
    assert other.exists()


def test_a_lock_file_that_another_process_holds_for_a_moment_is_waited_for(root: Path) -> None:
    lock = root / ".git/refs/heads/ledger/dev.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    timer = threading.Timer(0.2, lock.unlink)
    timer.start()
    moved = update_refs(
        GitRepository.open(root).command,
        root / ".git",
        [RefUpdate("refs/heads/ledger/dev", commit(root, "1"), None)],
        patience=60,
    )
    timer.join()
    assert moved


def test_git_is_not_in_the_group_that_ctrl_c_reaches(root: Path) -> None:
    process = GitRepository.open(root).command.start(("cat-file", "--batch"))
    try:
        assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
    finally:
        end(process)


def test_a_process_that_takes_too_long_is_ended_with_all_that_it_started(root: Path, tmp_path: Path) -> None:
    git(root, "config", "alias.slow", f"!echo $$ > {tmp_path}/pid; sleep 600")
    begun = tmp_path / "pid"
    for seconds in (1, 5, 30):  # a busy machine may not get as far as to the sleep
        with pytest.raises(TimedOut, match="git slow"):
            GitRepository.open(root).command.run(("slow",), timeout=seconds)
        if begun.exists() and begun.read_text():
            break
    give_up = time.monotonic() + 60
    while is_running(int(begun.read_text())):
        assert time.monotonic() < give_up, "it still runs"
        time.sleep(0.005)


def test_what_git_says_is_in_the_error(root: Path) -> None:
    with pytest.raises(MlopsError, match="not a git command"):
        GitRepository.open(root).command.must(("no-such-command",))

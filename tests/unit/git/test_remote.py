"""Talking to a remote: what it says, and what it does not."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.unit.git.room import commit, git, make_repository

from mlops.errors import MlopsError
from mlops.git import Diverged, GitRepository, RemoteRefused, Unreachable
from mlops.git.refs import RefUpdate
from mlops.git.remote import fetch, push

NAME = "refs/heads/ledger/dev"
OTHER = "refs/mlops/lease/dev"
REFSPEC = "refs/heads/ledger/*:refs/remotes/origin/ledger/*"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "remote.git", "--bare")


@pytest.fixture
def clone(tmp_path: Path, remote: Path) -> Path:
    root = make_repository(tmp_path / "clone")
    git(root, "remote", "add", "origin", str(remote))
    return root


def _push(clone: Path, *updates: RefUpdate) -> bool:
    return push(GitRepository.open(clone).command, "origin", updates)


def _hook(remote: Path, name: str, script: str) -> None:
    path = remote / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_push_moves_only_from_where_it_was_expected(clone: Path, remote: Path) -> None:
    first, second = commit(clone, "1"), commit(clone, "2")
    assert _push(clone, RefUpdate(NAME, first, None))
    assert not _push(clone, RefUpdate(NAME, second, None))
    assert not _push(clone, RefUpdate(NAME, second, second))
    assert _push(clone, RefUpdate(NAME, second, first))
    assert git(remote, "rev-parse", NAME) == second


def test_a_push_of_two_refs_moves_both_or_none(clone: Path, remote: Path) -> None:
    first, second = commit(clone, "1"), commit(clone, "2")
    assert _push(clone, RefUpdate(NAME, first, None))
    assert not _push(clone, RefUpdate(NAME, second, None), RefUpdate(OTHER, second, None))
    assert git(remote, "for-each-ref", "refs/mlops") == ""
    assert _push(clone, RefUpdate(NAME, second, first), RefUpdate(OTHER, second, None))


def test_what_the_remotes_hook_says_is_told(clone: Path) -> None:
    remote = Path(git(clone, "remote", "get-url", "origin"))
    _hook(remote, "pre-receive", 'echo "only robots may write here" >&2; exit 1')
    with pytest.raises(RemoteRefused, match="only robots may write here"):
        _push(clone, RefUpdate(NAME, commit(clone, "1"), None))
    assert git(remote, "for-each-ref") == ""


def test_one_protected_ref_is_told_although_the_other_only_followed(clone: Path, remote: Path) -> None:
    _hook(remote, "update", 'test "$1" != "refs/heads/ledger/dev" || { echo protected >&2; exit 1; }')
    first = commit(clone, "1")
    with pytest.raises(RemoteRefused, match="protected"):
        _push(clone, RefUpdate(OTHER, first, None), RefUpdate(NAME, first, None))


def test_a_remote_that_is_gone_is_unreachable_both_ways(clone: Path, tmp_path: Path) -> None:
    git(clone, "remote", "set-url", "origin", str(tmp_path / "gone"))
    with pytest.raises(Unreachable, match="gone"):
        _push(clone, RefUpdate(NAME, commit(clone, "1"), None))
    with pytest.raises(Unreachable):
        fetch(GitRepository.open(clone).command, "origin", (REFSPEC,))


def test_fetching_what_is_not_there_yet_is_no_error(clone: Path) -> None:
    fetch(GitRepository.open(clone).command, "origin", (REFSPEC,))
    assert git(clone, "for-each-ref", "refs/remotes") == ""


def test_a_branch_that_was_rewritten_is_not_taken(clone: Path, remote: Path) -> None:
    first, second = commit(clone, "1"), commit(clone, "2")
    assert _push(clone, RefUpdate(NAME, second, None))
    fetch(GitRepository.open(clone).command, "origin", (REFSPEC,))
    git(remote, "update-ref", NAME, first)
    with pytest.raises(Diverged):
        fetch(GitRepository.open(clone).command, "origin", (REFSPEC,))
    assert git(clone, "rev-parse", "refs/remotes/origin/ledger/dev") == second


def test_two_that_fetch_at_once_into_one_clone_both_succeed(clone: Path) -> None:
    """Git itself gives up when another process moves the same ref meanwhile."""
    last: str | None = None
    for number in range(8):
        tip = commit(clone, str(number))
        assert _push(clone, RefUpdate(NAME, tip, last))
        git(clone, "update-ref", "-d", "refs/remotes/origin/ledger/dev")
        last = tip
        failed: list[Exception] = []

        def look() -> None:
            try:
                fetch(GitRepository.open(clone).command, "origin", (REFSPEC,), patience=100)
            except MlopsError as error:
                failed.append(error)  # noqa: B023 - the threads end within this round

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        assert git(clone, "rev-parse", "refs/remotes/origin/ledger/dev") == tip


def test_a_lock_file_of_a_killed_fetch_is_cleared(clone: Path) -> None:
    tip = commit(clone, "1")
    assert _push(clone, RefUpdate(NAME, tip, None))
    git(clone, "update-ref", "-d", "refs/remotes/origin/ledger/dev")
    lock = clone / ".git/refs/remotes/origin/ledger/dev.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    os.utime(lock, (1, 1))
    fetch(GitRepository.open(clone).command, "origin", (REFSPEC,), patience=0.1)
    assert git(clone, "rev-parse", "refs/remotes/origin/ledger/dev") == tip


def test_no_hook_of_the_clone_is_run(clone: Path, tmp_path: Path) -> None:
    _hook(clone / ".git", "pre-push", f"touch {tmp_path}/ran; exit 1")
    assert _push(clone, RefUpdate(NAME, commit(clone, "1"), None))
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def guarded_url() -> Iterator[str]:
    """A server that wants a password."""

    class Guard(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Guard) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/r.git"
        server.shutdown()
        thread.join()


def test_a_password_is_never_asked_for(clone: Path, guarded_url: str) -> None:
    git(clone, "remote", "set-url", "origin", guarded_url)
    with pytest.raises(Unreachable, match="could not read Username"):
        fetch(GitRepository.open(clone).command, "origin", (REFSPEC,))

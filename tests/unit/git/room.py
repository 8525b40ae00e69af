"""Real repositories to try things on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

DATES = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}


def git(folder: Path, *arguments: str, data: str = "") -> str:
    """Run Git as a user would, and insist that it works."""
    done = subprocess.run(
        ("git", *arguments), cwd=folder, env=os.environ | DATES, input=data, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"git {arguments}: {done.stderr}"
    return done.stdout.removesuffix("\n")


def make_repository(folder: Path, *options: str) -> Path:
    """A repository with one commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", *options)
    if "--bare" not in options:
        (folder / "a.txt").write_text("a\n")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "Begin")
    return folder


def commit(folder: Path, text: str) -> str:
    """One more commit; its id."""
    (folder / "a.txt").write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", f"Say {text}")
    return git(folder, "rev-parse", "HEAD")


def objects(folder: Path) -> set[str]:
    """Ids of all objects of a repository."""
    listing = git(folder, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)")
    return set(listing.splitlines())


class Calls:
    """Counts Git processes, and ends one of them before it starts where that is asked for."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.made: list[str] = []
        self._fail_at = fail_at

    def __call__(self, arguments: Sequence[str]) -> None:
        if self._fail_at is not None and len(self.made) >= self._fail_at:
            raise Killed
        self.made.append(arguments[0])


class Killed(BaseException):
    """The process is gone: nothing after this point happens."""

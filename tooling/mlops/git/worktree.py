"""What is checked out, and whether it is exactly a commit."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlops.git.command import LOCAL_TIMEOUT, Answer, GitCommand, end, failed

OWN_FOLDER = ".mlops"
"""What the toolkit writes beside `mlops.yaml`, wherever that is; never a reason to call a tree dirty."""

_ALL_BUT_OURS = ":(top,exclude,glob)**/.mlop[s]/**"
"""A pattern and no plain name, because `git add` refuses to be told the name of a folder that is ignored."""

_STATUS = (
    "status",
    "--porcelain=v2",
    "--branch",
    "--no-ahead-behind",
    "--no-renames",
    "--untracked-files=normal",
    "-z",
)
_HASHING = tuple(
    part
    for setting in (
        "core.splitIndex=false",
        "core.fsync=none",
        "core.compression=0",
        "core.looseCompression=0",
        "advice.addEmbeddedRepo=false",
    )
    for part in ("-c", setting)
)
"""For objects that are thrown away at once."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What a command works from.

    Attributes:
        commit: The commit that is checked out; None before the first one.
        branch: Its branch; None where HEAD is detached and no CI job says what it is.
        dirty: Whether files differ from the commit; files that are not tracked count, ignored ones do not.
        tree: Hash of the files as they are, where it was asked for.
    """

    commit: str | None
    branch: str | None = None
    dirty: bool = False
    tree: str | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """The revision, and which files under a folder are tracked."""

    revision: Revision
    tracked: tuple[str, ...]


def _collect(process: subprocess.Popen[bytes], arguments: tuple[str, ...], directory: Path) -> bytes:
    try:
        output, messages = process.communicate(timeout=LOCAL_TIMEOUT)
    except BaseException:
        end(process)
        raise
    if process.returncode != 0:
        answer = Answer(process.returncode, output, messages.decode("utf-8", "replace").strip())
        raise failed(arguments, answer, directory)
    return output


def _is_own(field: str) -> bool:
    """Whether a line of the status is about a file of ours that is not tracked."""
    return field.startswith("? ") and OWN_FOLDER in field.removeprefix("? ").split("/")


def _revision_of(status: bytes) -> Revision:
    commit: str | None = None
    branch: str | None = None
    dirty = False
    for field in status.decode("utf-8", "surrogateescape").split("\0"):
        if field.startswith("# branch.oid "):
            value = field.removeprefix("# branch.oid ")
            commit = None if value == "(initial)" else value
        elif field.startswith("# branch.head "):
            value = field.removeprefix("# branch.head ")
            branch = None if value == "(detached)" else value
        elif field and not field.startswith("# ") and not _is_own(field):
            dirty = True
    return Revision(commit, branch, dirty)


def survey(command: GitCommand, prefix: str) -> Survey:
    """Ask for the status and for the tracked files at the same time."""
    listing = ("--literal-pathspecs", "ls-files", "-z", "--", prefix)
    files = command.start(listing)
    try:
        revision = read_revision(command)
    except BaseException:
        end(files)
        raise
    tracked = _collect(files, listing, command.directory).decode("utf-8", "surrogateescape").split("\0")
    return Survey(revision, tuple(name for name in tracked if name))


def read_revision(command: GitCommand) -> Revision:
    """Ask for the status of a work tree."""
    return _revision_of(_collect(command.start(_STATUS), _STATUS, command.directory))


def read_bare_revision(command: GitCommand) -> Revision:
    """What HEAD names in a repository without a work tree."""
    commit = command.must(("rev-parse", "--verify", "--quiet", "HEAD^{commit}"), allowed=(0, 1)).text or None
    branch = command.must(("symbolic-ref", "--quiet", "--short", "HEAD"), allowed=(0, 1)).text or None
    return Revision(commit, branch)


def hash_tree(command: GitCommand, git_directory: Path, common_directory: Path) -> str:
    """Hash the files as they are, with a temporary index and a temporary folder for objects.

    Neither the index, nor HEAD, nor the repository's objects change.

    Raises:
        MlopsError: A file cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="mlops-tree-") as name:
        folder = Path(name)
        (folder / "objects").mkdir()
        if (git_directory / "index").exists():
            shutil.copy2(git_directory / "index", folder / "index")
        extra = {
            "GIT_INDEX_FILE": str(folder / "index"),
            "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(common_directory / "objects"),
        }
        command.must((*_HASHING, "add", "--all", "--", ".", _ALL_BUT_OURS), extra=extra)
        return command.must(("write-tree",), extra=extra).text


def _quoted(path: Path) -> str:
    text = str(path)
    if os.pathsep not in text and not text.startswith('"'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

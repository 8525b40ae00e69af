"""A Git repository, as far as the toolkit needs one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from mlops.errors import Diagnostic, InvalidRepository
from mlops.git.ancestry import is_ancestor
from mlops.git.command import GitCommand
from mlops.git.identity import Actor, Job, find_actor, find_job
from mlops.git.objects import ObjectReader
from mlops.git.worktree import Revision, Survey, hash_tree, read_bare_revision, read_revision, survey

_LAYOUT = (
    "rev-parse",
    "--path-format=absolute",
    "--is-bare-repository",
    "--is-inside-work-tree",
    "--is-shallow-repository",
    "--show-object-format",
    "--git-dir",
    "--git-common-dir",
)


class GitRepository:
    """Reads and writes through the `git` binary; never touches the work tree, the index or HEAD. Thread-safe.

    Attributes:
        root: Top folder of the work tree; the Git folder where there is none.
        git_directory: The Git folder of this work tree.
        common_directory: The Git folder that all linked work trees share.
        bare: Whether there is no work tree.
        shallow: Whether part of the history was missing when it was opened.
        hash_name: "sha1" or "sha256".
        command: Starts processes in `root`.
        objects: Reads objects.
    """

    def __init__(self, command: GitCommand, environment: Mapping[str, str], layout: Sequence[str], root: Path) -> None:
        """Use `open`."""
        self.bare = layout[0] == "true"
        self.shallow = layout[2] == "true"
        self.hash_name = layout[3]
        self.git_directory = Path(layout[4])
        self.common_directory = Path(layout[5])
        self.root = root
        self.command = command.moved_to(root)
        self.objects = ObjectReader(self.command)
        self._environment = environment

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        before: Callable[[Sequence[str]], None] | None = None,
    ) -> Self:
        """Find the repository that a folder belongs to, with one process.

        Args:
            path: Any folder in it.
            environment: Environment variables; None: those of this process.
            before: Called with the arguments of each Git process that is about to start.

        Raises:
            InvalidRepository: There is none, or Git does not trust its owner.
        """
        environment = os.environ if environment is None else environment
        command = GitCommand(path, environment, before)
        answer = command.run((*_LAYOUT, "--show-cdup"))
        if answer.code != 0:
            raise _not_a_repository(path, answer.messages)
        layout = answer.text.split("\n")
        if layout[0] == "true" or layout[1] != "true":
            return cls(command, environment, ("true", *layout[1:]), Path(layout[5]))
        up = layout[6] if len(layout) > 6 else ""
        return cls(command, environment, layout, Path(os.path.normpath(path.resolve() / up)))

    def __enter__(self) -> Self:
        """Nothing to do: processes start when they are needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process that reads objects."""
        self.close()

    def close(self) -> None:
        """End the process that reads objects; reading again starts another."""
        self.objects.close()

    @cached_property
    def config(self) -> Mapping[str, str]:
        """Git's whole configuration; of a key with several values the last one. Section and key are in lower case."""
        text = self.command.must(("config", "--list", "-z")).output.decode("utf-8", "surrogateescape")
        pairs = (entry.partition("\n") for entry in text.split("\0") if entry)
        return {key: value for key, _, value in pairs}

    def survey(self, prefix: str = ".mlops") -> Survey:
        """The revision and the tracked files under a folder, by two processes at the same time."""
        if self.bare:
            return Survey(self.revision(), ())
        found = survey(self.command, prefix)
        return Survey(self._named(found.revision), found.tracked)

    def revision(self, *, with_tree: bool = False) -> Revision:
        """What is checked out.

        Args:
            with_tree: Also hash the files as they are; costs two processes more when they differ from the commit.
        """
        if self.bare:
            return self._named(read_bare_revision(self.command))
        revision = self._named(read_revision(self.command))
        return replace(revision, tree=self.tree(revision)) if with_tree else revision

    def tree(self, revision: Revision) -> str:
        """Hash of the files as they are: that of the commit where they are clean."""
        if revision.commit is not None and not revision.dirty:
            return self.command.must(("rev-parse", "--verify", f"{revision.commit}^{{tree}}")).text
        return hash_tree(self.command, self.git_directory, self.common_directory)

    def _named(self, revision: Revision) -> Revision:
        """CI checks out a commit, not a branch: take the branch from the job when it was started for this commit."""
        job = self.job()
        if revision.branch is None and job is not None and job.commit == revision.commit:
            return replace(revision, branch=job.branch)
        return revision

    def tracked(self, prefix: str) -> tuple[str, ...]:
        """Files under a folder that are tracked."""
        answer = self.command.must(("--literal-pathspecs", "ls-files", "-z", "--", prefix))
        return tuple(name for name in answer.output.decode("utf-8", "surrogateescape").split("\0") if name)

    def patch(self, commit: str, folder: str, *, without: Sequence[str] = ()) -> str:
        """The change that makes the tracked files of a folder what they were at a commit; empty for none.

        Args:
            commit: The commit.
            folder: Relative to the root of the work tree.
            without: Files that are left as they are, relative to the root.
        """
        left = (f":(top,exclude,literal){file}" for file in without)
        options = ("--no-color", "--no-ext-diff", "--no-textconv", "--binary", "--src-prefix=a/", "--dst-prefix=b/")
        names = ("diff", *options, "-R", commit, "--", f":(top,literal){folder}", *left)
        return self.command.must(names).output.decode("utf-8", "surrogateescape")

    def subject(self, commit: str) -> str:
        """The first line of a commit's message."""
        return self.command.must(("log", "-1", "--format=%s", "--end-of-options", commit)).text

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether commit `new` contains commit `old`; a shallow clone is deepened until that is sure.

        Raises:
            Blocked: The history that can be had does not tell.
        """
        remotes = self.remotes()
        remote = "origin" if "origin" in remotes else next(iter(remotes), None)
        return is_ancestor(self.command, old, new, remote)

    def remotes(self) -> tuple[str, ...]:
        """Names of the remotes."""
        keys = (key for key in self.config if key.startswith("remote.") and key.endswith(".url"))
        return tuple(sorted(key.removeprefix("remote.").removesuffix(".url") for key in keys))

    def remote_url(self, name: str) -> str | None:
        """The address of a remote; None where there is no such remote."""
        return self.config.get(f"remote.{name}.url")

    def actor(self) -> Actor:
        """Who acts, and from where that is known."""
        return find_actor(self._environment, self.config)

    def job(self) -> Job | None:
        """The CI job that this runs in; None on a desk."""
        return find_job(self._environment)


def _not_a_repository(path: Path, said: str) -> InvalidRepository:
    if "dubious ownership" in said:
        return InvalidRepository(
            Diagnostic(
                "Git does not trust this repository",
                f"{path} belongs to another user.",
                todo="If you trust it, tell Git so.",
                command=f"git config --global --add safe.directory {path}",
            )
        )
    if "not a git repository" in said:
        return InvalidRepository(
            Diagnostic(
                "Not a Git repository",
                f"{path} is not inside of a Git repository, and Git is where mlops keeps what it did.",
                todo="Run mlops inside of a repository, or make one here.",
                command=f"git init {path}",
            )
        )
    return InvalidRepository(Diagnostic("The repository cannot be opened", f"{path}: {said}"))

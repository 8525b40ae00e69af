"""The one place where a `git` process is started.

Every process is sealed: no prompt, no pager, no hook, no locale, no session of the terminal (so that Ctrl-C reaches
this program only, which can then still tell the ledger), and nothing inherited from a Git hook that may run us.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import Diagnostic, MlopsError

LOCAL_TIMEOUT = 120.0
"""Seconds that a process without a network may take."""

REMOTE_TIMEOUT = 300.0
"""Seconds that a process that talks to a remote may take."""

_SEALED_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=objects,derived-metadata,reference",
    "advice.detachedHead=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "push.followTags=false",
    "maintenance.auto=false",
    "gc.auto=0",
    "color.ui=false",
)
_ARGUMENTS = tuple(part for setting in _SEALED_CONFIG for part in ("-c", setting))

_INHERITED_FROM_HOOKS = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
    "LANGUAGE",
)
"""Variables that would point Git at another repository than the one that was asked for (`git rev-parse
--local-env-vars`); those that carry configuration stay, because CI hands credentials over in them."""

_SEALED_ENVIRONMENT = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
    "SSH_ASKPASS_REQUIRE": "never",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a Git process said: exit code (negative: the signal that ended it), output, messages."""

    code: int
    output: bytes
    messages: str

    @property
    def text(self) -> str:
        """The output as text, without the last line break; bytes that are not UTF-8 survive as surrogates."""
        return self.output.decode("utf-8", "surrogateescape").removesuffix("\n")


class TimedOut(MlopsError):
    """A Git process took longer than it may."""


def sealed(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of every Git process: the caller's, without what would mislead, prompt or translate."""
    kept = {name: value for name, value in environment.items() if name not in _INHERITED_FROM_HOOKS}
    kept.setdefault("GIT_ASKPASS", "")
    return kept | _SEALED_ENVIRONMENT


class GitCommand:
    """Starts `git` in one directory.

    Args:
        directory: Where it runs.
        environment: The caller's environment variables.
        before: Called with the arguments of each process that is about to start (to count, and to fail on purpose).
    """

    def __init__(
        self, directory: Path, environment: Mapping[str, str], before: Callable[[Sequence[str]], None] | None = None
    ) -> None:
        """Seal the environment once; start nothing."""
        self.directory = directory
        self._caller = environment
        self._environment = sealed(environment)
        self._before = before

    def moved_to(self, directory: Path) -> GitCommand:
        """The same, in another directory."""
        return GitCommand(directory, self._caller, self._before)

    def start(self, arguments: Sequence[str], extra: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a process whose three streams are pipes.

        Raises:
            MlopsError: Git is not installed.
        """
        if self._before is not None:
            self._before(arguments)
        try:
            return subprocess.Popen(
                ("git", *_ARGUMENTS, *arguments),
                cwd=self.directory,
                env={**self._environment, **extra} if extra else self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            if not self.directory.is_dir():
                raise MlopsError(Diagnostic("No such folder", f"{self.directory} does not exist.")) from error
            raise MlopsError(
                Diagnostic(
                    "Git is not installed", 'There is no command "git" on PATH.', todo="Install Git 2.36 or later."
                )
            ) from error

    def run(
        self,
        arguments: Sequence[str],
        data: bytes = b"",
        *,
        timeout: float = LOCAL_TIMEOUT,
        extra: Mapping[str, str] | None = None,
    ) -> Answer:
        """Run to the end, whatever its exit code.

        Args:
            arguments: What comes after `git`.
            data: Its standard input.
            timeout: Seconds after which it is ended.
            extra: More environment variables.

        Raises:
            TimedOut: It took longer than `timeout`.
        """
        process = self.start(arguments, extra)
        try:
            output, messages = process.communicate(data, timeout)
        except subprocess.TimeoutExpired as error:
            end(process)
            raise TimedOut(
                Diagnostic(
                    "Git took too long",
                    f"`git {arguments[0]}` was ended after {timeout:g} seconds.",
                    todo="Check the network and the remote, then run the command again.",
                )
            ) from error
        except BaseException:
            end(process)
            raise
        return Answer(process.returncode, output, messages.decode("utf-8", "replace").strip())

    def must(
        self,
        arguments: Sequence[str],
        data: bytes = b"",
        *,
        allowed: Collection[int] = (0,),
        extra: Mapping[str, str] | None = None,
    ) -> Answer:
        """Run to the end and insist on the exit code.

        Raises:
            MlopsError: Another exit code than an allowed one.
        """
        answer = self.run(arguments, data, extra=extra)
        if answer.code not in allowed:
            raise failed(arguments, answer, self.directory)
        return answer


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    process.wait()


_UNWRITABLE = (
    *("Permission denied", "Read-only file system", "insufficient permission", "No space left", "Disk quota"),
    *("File too large", "couldn't write", "unable to write"),
)


def failed(arguments: Sequence[str], answer: Answer, directory: Path) -> MlopsError:
    """The error that says what Git said."""
    said = answer.messages or (f"It was ended by signal {-answer.code}." if answer.code < 0 else "It said nothing.")
    if any(sign in said for sign in _UNWRITABLE):
        return MlopsError(
            Diagnostic(
                "The repository cannot be written",
                f"`git {arguments[0]}` in {directory} failed: {said}",
                todo="The ledger is kept in Git, so this needs a clone that you may write to, with space left.",
            )
        )
    return MlopsError(Diagnostic("Git failed", f"`git {arguments[0]}` in {directory} exited {answer.code}: {said}"))

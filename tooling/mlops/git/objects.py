"""Reading many Git objects through one process."""

from __future__ import annotations

import subprocess
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mlops.errors import Diagnostic, MlopsError
from mlops.git.command import GitCommand, end

_CHUNK_BYTES = 4096
"""Names asked for at once: less than any pipe holds, so that neither side ever waits for the other to read."""


@dataclass(frozen=True, slots=True)
class GitObject:
    """One object: its id, its kind ("blob", "tree", "commit", "tag") and its content."""

    oid: str
    kind: str
    content: bytes


class ObjectReader:
    """One `git cat-file --batch` that is started when first needed and answers until it is closed; thread-safe.

    It ends when it is closed, or when nobody can ask it any more.
    """

    def __init__(self, command: GitCommand) -> None:
        """Start nothing."""
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[..., ObjectReader] | None = None
        self._lock = threading.Lock()

    def read(self, names: Iterable[str]) -> list[GitObject | None]:
        """The objects by id, ref or `id:path`, in order; None for each that is not there.

        Raises:
            MlopsError: Git stopped answering.
        """
        found: list[GitObject | None] = []
        with self._lock:
            for chunk in _chunks(names):
                found.extend(self._ask(chunk))
        return found

    def stream(self, names: Iterable[str]) -> Iterator[GitObject | None]:
        """As `read`, a chunk at a time, so that memory does not grow with the number of names."""
        for chunk in _chunks(names):
            with self._lock:
                answers = self._ask(chunk)
            yield from answers

    def _ask(self, names: Sequence[str]) -> list[GitObject | None]:
        try:
            return self._converse(self._started(), names)
        except (BrokenPipeError, EOFError):
            self._stop()
        try:
            return self._converse(self._started(), names)
        except (BrokenPipeError, EOFError) as error:
            self._stop()
            raise MlopsError(
                Diagnostic("Git failed", f"`git cat-file` in {self._command.directory} stopped answering.")
            ) from error

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = self._command.start(("cat-file", "--batch"))
            self._finalizer = weakref.finalize(self, end, self._process)
        return self._process

    def _converse(self, process: subprocess.Popen[bytes], names: Sequence[str]) -> list[GitObject | None]:
        if process.stdin is None or process.stdout is None:
            raise EOFError
        process.stdin.write("".join(f"{name}\n" for name in names).encode())
        process.stdin.flush()
        return [_parse(process.stdout.readline(), process) for _ in names]

    def _stop(self) -> None:
        self._process = None
        if self._finalizer is not None:
            self._finalizer()

    def close(self) -> None:
        """End the process; a later read starts another."""
        with self._lock:
            self._stop()


def _chunks(names: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for name in names:
        if "\n" in name:
            raise ValueError(f"Not the name of a Git object: {name!r}")
        if chunk and size + len(name) >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(name)
        size += len(name) + 1
    if chunk:
        yield chunk


def _parse(header: bytes, process: subprocess.Popen[bytes]) -> GitObject | None:
    if not header.endswith(b"\n") or process.stdout is None:
        raise EOFError
    words = header.decode("utf-8", "surrogateescape").rstrip("\n").rsplit(" ", 2)
    if words[-1] in {"missing", "ambiguous"} or len(words) < 3:
        return None
    oid, kind, size = words
    content = process.stdout.read(int(size))
    if len(content) != int(size) or process.stdout.read(1) != b"\n":
        raise EOFError
    return GitObject(oid, kind, content)

"""One worker process: started, heard, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mlops_scoring.configuration import Deployment

_INHERITED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("MLOPS_LOG_FORMAT", "APPLICATIONINSIGHTS_CONNECTION_STRING"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    }
)
_INHERITED_PREFIXES = ("LC_", "OMP_", "MKL_", "OPENBLAS_", "CUDA_", "NVIDIA_", "OTEL_")
"""What a worker has of the supervisor's environment; everything else is declared, so that what serves does not depend
on who started it, and no credential of the toolkit reaches a model. Where telemetry goes changes no answer, and its
credentials have no place in Git."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What became of a start; no reason means ready."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """How a worker is started.

    Attributes:
        arguments: Of `python -m mlops_scoring.worker`.
        environment: All of its environment.
        descriptors: What it inherits beside its two pipes.
    """

    python: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...] = ()


def admin_socket(socket: Path) -> Path:
    """Where a worker answers scrapes, beside the socket that it answers clients on."""
    return socket.with_suffix(".admin")


def behind_gateway(deployment: Deployment, configuration: Path, socket: Path) -> Launch:
    """A worker that only the gateway reaches."""
    admin = str(admin_socket(socket))
    arguments = ("--configuration", str(configuration), "--socket", str(socket), "--admin", admin)
    return Launch(deployment.python, arguments, _environment(deployment))


class _Output(asyncio.SubprocessProtocol):
    def __init__(self, write: Callable[[bytes], None], exited: asyncio.Future[int]) -> None:
        self._write = write
        self._exited = exited
        self._transport: asyncio.SubprocessTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)  # uvloop's is no subclass

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        del fd
        self._write(data)

    def process_exited(self) -> None:
        code = self._transport.get_returncode()
        if not self._exited.done():
            self._exited.set_result(-1 if code is None else code)


class _Status(asyncio.Protocol):
    def __init__(self, announced: asyncio.Future[Announcement | None]) -> None:
        self._announced = announced
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        line, newline, _ = self._data.partition(b"\n")
        if newline and not self._announced.done():
            self._announced.set_result(_read_announcement(line))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self._announced.done():
            self._announced.set_result(None)


def _read_announcement(line: bytes) -> Announcement | None:
    try:
        match json.loads(line):
            case {"event": "ready"}:
                return Announcement()
            case {"event": "failed", "reason": str(reason)}:
                return Announcement(reason)
            case _:
                return None
    except ValueError:
        return None


class WorkerProcess:
    """A running worker.

    Attributes:
        exited: The exit code; negative for a signal.
    """

    def __init__(self, announced: asyncio.Future[Announcement | None], exited: asyncio.Future[int]) -> None:
        """Hold the two things that will be known later; see `spawn`."""
        self.exited = exited
        self._announced = announced
        self._process: asyncio.SubprocessTransport
        self._status: asyncio.BaseTransport
        self._lifeline = -1

    async def announcement(self) -> Announcement | None:
        """Wait until the worker says that it is ready or why not; None when it ended without a word."""
        return await asyncio.shield(self._announced)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.get_pid()

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    async def stop(self, grace: float | None) -> None:
        """Ask it to finish, and end it when it has not after `grace` seconds; None waits for ever."""
        if not self.exited.done():  # else nothing is awaited, and no end of its task can leave something open
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            await asyncio.wait([self.exited], timeout=grace)
            self.kill()
            await self.exited
        self.close()

    def close(self) -> None:
        """Give back what a process that has ended held."""
        self._process.close()
        self._status.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    @classmethod
    async def spawn(cls, launch: Launch, write: Callable[[bytes], None]) -> WorkerProcess:
        """Start a worker.

        Raises:
            OSError: It cannot be started: no such interpreter, no memory, too many processes.
        """
        loop = asyncio.get_running_loop()
        worker = cls(loop.create_future(), loop.create_future())
        status_read, status_write = os.pipe()
        lifeline_read, worker._lifeline = os.pipe()
        command = [launch.python, "-P", "-m", "mlops_scoring.worker", *launch.arguments]
        command += ["--status-fd", str(status_write), "--lifeline-fd", str(lifeline_read)]
        try:
            worker._process, _ = await loop.subprocess_exec(
                lambda: _Output(write, worker.exited),
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=launch.environment,
                pass_fds=(status_write, lifeline_read, *launch.descriptors),
            )
        except BaseException:
            os.close(status_read)
            os.close(worker._lifeline)
            raise
        finally:
            os.close(status_write)
            os.close(lifeline_read)
        worker._status, _ = await loop.connect_read_pipe(
            lambda: _Status(worker._announced), os.fdopen(status_read, "rb", 0)
        )
        return worker


def _environment(deployment: Deployment) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    return {**inherited, "PYTHONUNBUFFERED": "1", **deployment.environment_variables}


def describe_exit(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = "; the machine may be short of memory" if code == -signal.SIGKILL else ""
    return f"was killed by {name}{hint}"

"""`python -m mlops_scoring.supervisor --directory DIR [--admin PATH]`: serve one endpoint until told to stop.

Exit codes: 0 stopped; 2 the configuration cannot be used; 4 the port is taken; 5 another supervisor runs in DIR; 6 the
admin socket cannot be made. `DIR/failure.json` has the reason of 2, 4 and 6 in one line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from mlops_scoring import event_loop
from mlops_scoring.configuration import EndpointConfiguration, parse_configuration
from mlops_scoring.confinement import CannotConfine, become, keep_private
from mlops_scoring.documents import InvalidDocument
from mlops_scoring.gateway.gateway import Gateway
from mlops_scoring.supervisor.admin import AdminInterface
from mlops_scoring.supervisor.credentials import CredentialStore
from mlops_scoring.supervisor.directory import AlreadyRunning, Directory, read_configuration
from mlops_scoring.supervisor.endpoint import Endpoint
from mlops_scoring.supervisor.front import Front, PortTaken
from mlops_scoring.supervisor.logs import LogFiles, LogRecords
from mlops_scoring.supervisor.monitoring import Monitoring
from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.server import Listener

BAD_CONFIGURATION = 2
PORT_TAKEN = 4
ALREADY_RUNNING = 5
NO_ADMIN_SOCKET = 6

_DRAIN_SECONDS = 30.0
_SUN_PATH = 107  # bytes of a UNIX socket's path, the smaller of the systems' limits aside from the final NUL
_log = logging.getLogger("mlops_scoring.supervisor")


class CannotServe(Exception):
    """The supervisor cannot begin.

    Attributes:
        code: Its exit code.
    """

    def __init__(self, reason: str, code: int) -> None:
        """Keep the reason, one line, and the code."""
        super().__init__(reason)
        self.code = code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a supervisor."""
    parser = argparse.ArgumentParser(prog="python -m mlops_scoring.supervisor", description=__doc__)
    parser.add_argument("--directory", required=True, type=Path, help="folder with configuration.json")
    parser.add_argument("--admin", help="path of the admin socket; admin.sock in the folder unless given")
    parser.add_argument("--user", help="NAME or UID[:GID] to run as, with no way back; whoever starts it unless given")
    options = parser.parse_args(arguments)
    keep_private()
    directory = Directory(options.directory.absolute())
    admin = os.path.abspath(options.admin or directory.root / "admin.sock")  # noqa: PTH100 - links stay as given
    try:
        if options.user:
            become(options.user)
        directory.prepare()
        configuration = parse_configuration(read_configuration(directory.configuration))
        os.chdir(directory.root)
        return run(directory, configuration, admin)
    except AlreadyRunning as running:
        sys.stderr.write(f"{running}\n")
        return ALREADY_RUNNING
    except (CannotConfine, PermissionError) as refused:
        sys.stderr.write(f"{refused}\n")
        return BAD_CONFIGURATION
    except InvalidDocument as invalid:
        return _report(directory, str(invalid), BAD_CONFIGURATION)
    except CannotServe as failure:
        return _report(directory, str(failure), failure.code)


def _report(directory: Directory, reason: str, code: int) -> int:
    sys.stderr.write(f"{reason}\n")
    directory.write_failure(reason, code)
    return code


def run(directory: Directory, configuration: EndpointConfiguration, admin: str) -> int:
    """Serve until stopped; on uvloop where it is installed."""
    with event_loop.runner() as runner:
        runner.run(Supervisor(directory, admin).serve(configuration))
    return 0


class Supervisor:
    """Wires the parts of one endpoint together, and takes them apart in order."""

    def __init__(self, directory: Directory, admin: str) -> None:
        """Open the logs; nothing listens yet."""
        self._directory = directory
        self._admin = admin
        self._logs = LogFiles(directory.logs)
        self._stopping: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()

    async def serve(self, configuration: EndpointConfiguration) -> None:
        """Listen, run the workers, and return when told to stop.

        Raises:
            CannotServe: The port or the admin socket is not to be had, or the secrets cannot be kept.
            InvalidDocument: The certificate or the secrets cannot be used.
        """
        logging.getLogger("mlops_scoring").addHandler(LogRecords(self._logs, configuration.endpoint))
        logging.getLogger("mlops_scoring").setLevel(logging.INFO)
        self._gateway = Gateway()
        self._endpoint = Endpoint(self._gateway, self._directory, self._logs)
        self._front = Front(self._gateway, self._open_credentials(), configuration)
        self._monitoring = Monitoring(self._gateway, self._front, self._endpoint)
        interface = AdminInterface(self._endpoint, self._front, self._gateway, self._monitoring, self.stop)
        toolkit = Listener(interface.handle, Limits())
        try:
            await self._front.listen()
        except PortTaken as taken:
            raise CannotServe(str(taken), PORT_TAKEN) from None
        admin_server = await self._listen_admin(toolkit)
        self._endpoint.write(configuration)
        self._endpoint.apply(configuration)
        self._monitoring.apply(configuration)
        self._directory.write_supervisor(self._admin)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._begin_stop)
        _log.info("serving %s on %s:%d", configuration.endpoint, configuration.host, configuration.port)
        await self._stopped.wait()
        admin_server.close()
        await toolkit.drain(2)
        self._directory.remove_supervisor(self._admin)
        _log.info("stopped")
        self._logs.close()

    def _open_credentials(self) -> CredentialStore:
        try:
            return CredentialStore(self._directory)
        except OSError as error:
            raise CannotServe(f"credentials.json cannot be kept: {error.strerror}", BAD_CONFIGURATION) from None

    async def _listen_admin(self, toolkit: Listener) -> asyncio.Server:
        if len(os.fsencode(self._admin)) > _SUN_PATH:
            reason = f"the path of the admin socket has more than {_SUN_PATH} bytes: {self._admin}"
            raise CannotServe(reason, NO_ADMIN_SOCKET)
        previous = os.umask(0o177)  # there must be no moment at which others can connect
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._admin)  # noqa: PTH108 - a string, for create_unix_server takes one too
            return await asyncio.get_running_loop().create_unix_server(toolkit, self._admin)
        except OSError as error:
            raise CannotServe(f"the admin socket {self._admin} cannot be made: {error}", NO_ADMIN_SOCKET) from None
        finally:
            os.umask(previous)

    def _close_observers(self) -> None:
        for observer in self._gateway.observers:
            observer.close()
        self._monitoring.close()

    def _begin_stop(self) -> None:
        asyncio.ensure_future(self.stop())  # noqa: RUF006 - kept in self._stopping

    async def stop(self) -> None:
        """Answer what is under way, end the workers, and let `serve` return. May be called more than once."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        configuration = self._endpoint.configuration
        delay = 0.0 if configuration is None else configuration.drain_delay
        await self._front.close(delay, max(_DRAIN_SECONDS, self._endpoint.longest_seconds))
        await asyncio.to_thread(self._close_observers)
        await self._endpoint.stop()
        # The admin interface's answer to the call that brought us here is written before `serve` goes on.
        asyncio.get_running_loop().call_soon(self._stopped.set)


if __name__ == "__main__":
    sys.exit(main())

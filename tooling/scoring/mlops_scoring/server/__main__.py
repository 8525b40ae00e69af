"""`python -m mlops_scoring.server --configuration FILE`: serve one deployment on one address, without a gateway.

This is what an image runs where a platform stands in front: Kubernetes, ACI, Azure ML. Exit codes: 0 stopped by SIGTERM
after the last answer; 2 the settings cannot be used; 3 the model cannot be started; 4 the address is taken.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import importlib.util
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mlops_scoring.configuration import parse_worker_configuration
from mlops_scoring.confinement import CannotConfine, become, keep_private, refuse_root
from mlops_scoring.documents import InvalidDocument
from mlops_scoring.server.admin import ServerAdmin
from mlops_scoring.server.cpu_limit import cpu_limit
from mlops_scoring.server.fleet import CannotStart, Fleet
from mlops_scoring.supervisor.process import Launch
from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.server import Listener

BAD_SETTINGS = 2
START_FAILED = 3
ADDRESS_TAKEN = 4

_BACKLOG = 2048
_TERMINATION_LOG = Path("/dev/termination-log")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server."""
    options = _options(arguments)
    keep_private()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname).1s [%(process)d] %(name)s - %(message)s")
    try:
        if not options.user:
            refuse_root(os.environ)
        parse_worker_configuration(Path(options.configuration).read_bytes())
    except (OSError, InvalidDocument, CannotConfine) as error:
        return _give_up(str(error), BAD_SETTINGS)
    try:
        listener, admin = _listen(options.listen), _listen(options.admin)
    except OSError as error:
        return _give_up(f"{options.listen} or {options.admin} cannot be used: {error.strerror}", ADDRESS_TAKEN)
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if importlib.util.find_spec("uvloop") is not None:
        factory = importlib.import_module("uvloop").new_event_loop
    try:
        with (
            listener,
            admin,
            _run_as(options.user),
            tempfile.TemporaryDirectory(prefix="mlops-") as folder,
            asyncio.Runner(loop_factory=factory) as runner,
        ):
            runner.run(_serve(options, listener, admin, Path(folder)))
    except CannotConfine as refused:
        return _give_up(str(refused), BAD_SETTINGS)
    except CannotStart as failure:
        return _give_up(str(failure), START_FAILED)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mlops_scoring.server", description=__doc__)
    parser.add_argument("--configuration", required=True, help="file with the deployment's configuration")
    parser.add_argument("--listen", default="0.0.0.0:5001", help="HOST:PORT for clients")
    parser.add_argument("--admin", default="127.0.0.1:5000", help="HOST:PORT for probes and metrics")
    parser.add_argument("--workers", type=int, default=cpu_limit(), help="processes; the CPU limit unless given")
    parser.add_argument("--user", help="NAME or UID[:GID] to run as once the addresses are taken")
    parser.add_argument("--drain-delay", type=float, default=0, help="seconds between not ready and not listening")
    return parser.parse_args(arguments)


@contextlib.contextmanager
def _run_as(user: str | None) -> Iterator[None]:
    """Be another user, and stay it: there is no way back."""
    if user:
        become(user)
    yield


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_server((host.strip("[]"), int(port)), backlog=_BACKLOG)


def _give_up(reason: str, code: int) -> int:
    """Say why in one line, also where Kubernetes looks for it."""
    sys.stderr.write(f"{reason}\n")
    if _TERMINATION_LOG.is_file():
        with contextlib.suppress(OSError):
            _TERMINATION_LOG.write_text(reason, encoding="utf-8")
    return code


async def _serve(options: argparse.Namespace, listener: socket.socket, admin: socket.socket, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    launch = _launcher(options, listener, folder)
    fleet = Fleet(launch, max(1, options.workers), _pass_on)
    side = ServerAdmin(fleet)
    probes = Listener(side.handle, Limits())
    server = await loop.create_server(probes, sock=admin)

    async def stop() -> None:
        side.draining = True
        await asyncio.sleep(options.drain_delay)
        listener.close()
        fleet.stop()

    stopping: list[asyncio.Task[None]] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: stopping.append(asyncio.ensure_future(stop())))
    try:
        await fleet.run()
    finally:
        server.close()
        await probes.drain(0)


def _launcher(options: argparse.Namespace, listener: socket.socket, folder: Path) -> Callable[[int], Launch]:
    environment: Mapping[str, str] = {**os.environ, "PYTHONUNBUFFERED": "1"}
    fixed = ("--configuration", str(Path(options.configuration).absolute()), "--direct")

    def launch(number: int) -> Launch:
        own = ("--listen-fd", str(listener.fileno()), "--admin", str(folder / f"{number}.sock"))
        return Launch(sys.executable, (*fixed, *own), environment, (listener.fileno(),))

    return launch


def _pass_on(data: bytes) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())

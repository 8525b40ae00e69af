"""`python -m mlops_scoring.server [--configuration FILE]`: serve one deployment on one address, without a gateway.

Without a file, the variables that azureml-inference-server-http knows say what is served. This is what an image runs
where a platform stands in front: Kubernetes, ACI, Azure ML. Exit codes: 0 stopped by SIGTERM after the last answer; 2
the settings cannot be used; 3 the model cannot be started; 4 the address is taken.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_scoring import event_loop
from mlops_scoring.azureml_settings import Settings, load_settings
from mlops_scoring.configuration import Deployment, parse_worker_configuration
from mlops_scoring.confinement import CannotConfine, become, keep_private, refuse_root
from mlops_scoring.cpu_limit import cpu_limit
from mlops_scoring.documents import InvalidDocument
from mlops_scoring.server.admin import ServerAdmin
from mlops_scoring.server.fleet import CannotStart, Crew, Fleet
from mlops_scoring.server.from_environment import make_document
from mlops_scoring.supervisor.process import Launch
from mlops_scoring.supervisor.scraping import Target, scrape_all
from mlops_scoring.telemetry.families import counter
from mlops_scoring.telemetry.logs import log_to_standard_error
from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.server import Listener
from mlops_scoring.worker.loads import Loads, make_loads

BAD_SETTINGS = 2
START_FAILED = 3
ADDRESS_TAKEN = 4

_BACKLOG = 2048
_RESTARTS = ("mlops_server_worker_restarts", "Workers that were started again.")
_TERMINATION_LOG = Path("/dev/termination-log")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server."""
    options = _options(arguments)
    keep_private()
    log_to_standard_error({"worker": os.getpid()}, os.environ)
    try:
        if not options.user:
            refuse_root(os.environ)
        settings = load_settings(os.environ)
        served = _served(options.configuration, settings)
    except (OSError, InvalidDocument, CannotConfine) as error:
        return _give_up(str(error), BAD_SETTINGS)
    try:
        listener = _listen(options.listen or f"0.0.0.0:{settings.port}")
        admin = _listen(options.admin or f"127.0.0.1:{settings.health_port or 5000}")
    except OSError as error:
        return _give_up(f"the address for clients or for the admin side cannot be used: {error}", ADDRESS_TAKEN)
    workers = options.workers or settings.worker_count or cpu_limit()
    try:
        with (
            listener,
            admin,
            _run_as(options.user),
            tempfile.TemporaryDirectory(prefix="mlops-") as folder,
            event_loop.runner() as runner,
        ):
            place = Place(listener, admin, Path(folder))
            runner.run(_serve(served, place, workers, options.drain_delay))
    except CannotConfine as refused:
        return _give_up(str(refused), BAD_SETTINGS)
    except CannotStart as failure:
        return _give_up(str(failure), START_FAILED)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mlops_scoring.server", description=__doc__)
    parser.add_argument("--configuration", help="file with the deployment's configuration; variables unless given")
    parser.add_argument("--listen", help="HOST:PORT for clients; 0.0.0.0:5001 unless given")
    parser.add_argument("--admin", help="HOST:PORT for probes and metrics; 127.0.0.1:5000 unless given")
    parser.add_argument("--workers", type=int, help="processes; WORKER_COUNT or the CPU limit unless given")
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


def _served(path: str | None, settings: Settings) -> Served:
    """What is to be served, checked.

    Raises:
        InvalidDocument: It cannot be used.
        OSError: The file cannot be read.
    """
    document = Path(path).read_bytes() if path else json.dumps(make_document(settings, sys.executable)).encode()
    return Served(document, parse_worker_configuration(document).deployment)


@dataclass(frozen=True, slots=True)
class Served:
    """A worker's configuration, and the deployment in it."""

    document: bytes
    deployment: Deployment


@dataclass(frozen=True, slots=True)
class Place:
    """The two addresses, and a private folder for the workers' sockets."""

    listener: socket.socket
    admin: socket.socket
    folder: Path

    @property
    def loads(self) -> Path:
        """What several workers tell each other."""
        return self.folder / "loads"

    def worker_admin(self, number: int) -> Path:
        """Where a worker is asked for its metrics."""
        return self.folder / f"{number}.sock"


async def _serve(served: Served, place: Place, workers: int, drain_delay: float) -> None:
    loop = asyncio.get_running_loop()
    configuration = place.folder / "worker.json"
    configuration.write_bytes(served.document)
    targets = [Target(served.deployment.name, number, place.worker_admin(number)) for number in range(workers)]
    if workers > 1:
        make_loads(place.loads, workers)
    crew = Crew(
        workers,
        _launcher(configuration, place, drain_delay),
        place.worker_admin,
        served.deployment.liveness_probe,
        served.deployment.readiness_probe,
        lambda number: Loads(place.loads, number).leave() if workers > 1 else None,
    )
    fleet = Fleet(crew, _pass_on)
    side = ServerAdmin(fleet, lambda: scrape_all([counter(*_RESTARTS, fleet.restarts)], targets))
    probes = Listener(side.handle, Limits())
    server = await loop.create_server(probes, sock=place.admin)

    def stop() -> None:
        side.draining = True
        place.listener.close()  # the workers have it too, and go on for the delay
        fleet.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await fleet.run()
    finally:
        server.close()
        await probes.drain(0)


def _launcher(configuration: Path, place: Place, drain_delay: float) -> Callable[[int], Launch]:
    environment: Mapping[str, str] = {**os.environ, "PYTHONUNBUFFERED": "1"}
    descriptor = place.listener.fileno()
    fixed: tuple[str, ...] = ("--configuration", str(configuration), "--direct")
    fixed += ("--listen-fd", str(descriptor), "--drain-delay", str(drain_delay))

    def launch(number: int) -> Launch:
        own: tuple[str, ...] = ("--admin", str(place.worker_admin(number)), "--number", str(number))
        own += ("--loads", str(place.loads)) if place.loads.exists() else ()
        return Launch(sys.executable, fixed + own, environment, (descriptor,))

    return launch


def _pass_on(data: bytes) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())

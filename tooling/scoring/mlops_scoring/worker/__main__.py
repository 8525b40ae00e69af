"""`python -m mlops_scoring.worker --configuration FILE --socket PATH`: load one model and serve it.

Exit codes: 0 stopped by SIGTERM after the last answer; 3 the model could not be started (the reason is on the status
pipe, the traceback on standard error).
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mlops_scoring.azureml_settings import Settings, load_settings
from mlops_scoring.configuration import Deployment, WorkerConfiguration, parse_worker_configuration
from mlops_scoring.confinement import CannotConfine, become, keep_private
from mlops_scoring.documents import InvalidDocument
from mlops_scoring.telemetry.worker_logs import configure_logs
from mlops_scoring.telemetry.worker_telemetry import WorkerTelemetry
from mlops_scoring.worker import integrity, shims
from mlops_scoring.worker.condition import Condition
from mlops_scoring.worker.dialects.azureml import azureml_routes
from mlops_scoring.worker.dialects.mlflow import mlflow_routes
from mlops_scoring.worker.dialects.open_inference import open_inference_routes
from mlops_scoring.worker.discretion import keep_quiet
from mlops_scoring.worker.lifeline import Announcer, follow
from mlops_scoring.worker.loads import Loads
from mlops_scoring.worker.memory import give_back_large_blocks, leave_loaded_objects_alone
from mlops_scoring.worker.observing import Observer
from mlops_scoring.worker.openapi import openapi_route
from mlops_scoring.worker.routes import Routes
from mlops_scoring.worker.run_threads import RunThreads
from mlops_scoring.worker.runtimes import load
from mlops_scoring.worker.scoring import Scorer, StartFailed
from mlops_scoring.worker.serving import BACKLOG, Service, serve
from mlops_scoring.worker.sources import import_sources_of
from mlops_scoring.worker.swagger import Swagger

if TYPE_CHECKING:
    from mlops_scoring.telemetry.worker_metrics import Extra
    from mlops_scoring.worker.collecting.collecting import Collecting

_log = logging.getLogger("mlops_scoring.worker")

START_FAILED = 3
"""Exit code of a worker whose model could not be started; Azure ML's server has the same."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a worker."""
    options = _options(arguments)
    keep_private()
    give_back_large_blocks()
    announcer = Announcer(options.status_fd)
    # Bound before anything changes the working directory: a relative path keeps within the 107 bytes of a UNIX path.
    listener = bind(options.socket) if options.listen_fd is None else socket.socket(fileno=options.listen_fd)
    admin = bind(options.admin) if options.admin else None
    try:
        configuration = parse_worker_configuration(Path(options.configuration).read_bytes())
        _settle(options)
        deployment = configuration.deployment
        threads = RunThreads(deployment.request_settings.max_concurrent_requests_per_instance)
        collecting = begin_collecting(configuration, trials=not options.direct)
        condition = Condition(threads)
        began = time.perf_counter()
        checked = prepare(deployment)
        settings = load_settings(os.environ)
        # In one of the threads, because what init() makes may belong to the thread that run() is called in.
        scorer = threads.call(lambda: load(deployment))
        checked.confirm()
        telemetry = WorkerTelemetry(configuration, threads, time.perf_counter() - began, figures(collecting))
        service = Service(
            routes=telemetry.routes(join_routes(scorer, deployment, settings, condition)),
            settings=settings,
            threads=threads,
            observers=(*observers(collecting, scorer), telemetry),
            condition=condition,
            metrics=telemetry.exposition,
            listener=listener,
            admin=admin,
            limits=deployment.request_settings if options.direct else None,
            drain_delay=options.drain_delay,
            loads=Loads(Path(options.loads), options.number) if options.loads else None,
        )
    except BaseException as error:  # noqa: BLE001 - scripts raise anything, SystemExit included
        _fail(announcer, error)
    leave_loaded_objects_alone()
    serve(service, announcer)


def _settle(options: argparse.Namespace) -> None:
    """Be whom the options say, and end with the supervisor."""
    if options.user:
        become(options.user)
    follow(options.lifeline_fd)  # not before: the kernel forgets it when the user changes


def join_routes(scorer: Scorer, deployment: Deployment, settings: Settings, condition: Condition) -> Routes:
    """What all dialects answer; where two have one path, Azure ML's wins."""
    routes = azureml_routes(scorer, Swagger(scorer.schema(), deployment.code_directory, settings))
    routes = {**mlflow_routes(scorer), **open_inference_routes(scorer, deployment, condition), **routes}
    return {**openapi_route(scorer.schema(), settings.service_name, routes), **routes}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mlops_scoring.worker", description=__doc__)
    parser.add_argument("--configuration", required=True, help="file with the deployment's configuration")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--socket", help="path of a UNIX socket, or HOST:PORT, to listen on")
    place.add_argument("--listen-fd", type=int, help="listening socket to accept clients on")
    parser.add_argument("--loads", help="file in which the workers of one --listen-fd say what they have to do")
    parser.add_argument("--number", type=int, default=0, help="which of them this one is, from 0")
    parser.add_argument("--admin", help="path of a UNIX socket, or HOST:PORT, for probes and metrics")
    parser.add_argument("--direct", action="store_true", help="no gateway is in front: keep request_settings here")
    parser.add_argument("--drain-delay", type=float, default=0, help="seconds between not ready and not listening")
    parser.add_argument("--user", help="NAME or UID[:GID] to run as, with no way back; whoever starts it unless given")
    parser.add_argument("--status-fd", type=int, help="pipe to announce readiness or the reason of failure on")
    parser.add_argument("--lifeline-fd", type=int, help="pipe whose end means that the supervisor is gone")
    return parser.parse_args(arguments)


def begin_collecting(configuration: WorkerConfiguration, *, trials: bool) -> Collecting | None:
    """Begin to keep what is declared; before the model is loaded, because its script may collect too.

    Args:
        configuration: What is declared.
        trials: Whether a gateway in front says which requests are the toolkit's trials.

    Raises:
        OSError: There is no port for the script's collectors.
    """
    if configuration.deployment.data_collector is None:
        return None
    from mlops_scoring.worker.collecting.collecting import begin  # noqa: PLC0415 - paid for only where it is wanted

    return begin(configuration, trials=trials)


def figures(collecting: Collecting | None) -> tuple[Extra, ...]:
    """What there is to show of it."""
    return () if collecting is None else (collecting.families,)


def observers(collecting: Collecting | None, scorer: Scorer) -> tuple[Observer, ...]:
    """What hears of the requests of this deployment, beside telemetry."""
    if collecting is None:
        return ()
    collecting.loaded(scorer)
    return (collecting,)


def prepare(deployment: Deployment) -> integrity.Checked:
    """Check the model's files, and prepare the process as Azure ML's image does.

    Raises:
        StartFailed: A file is not as declared.
    """
    checked = integrity.verify(deployment.model_directory or "", deployment.model_files)
    os.environ.update(deployment.environment_variables)
    keep_quiet()
    constant = {"deployment": deployment.name, "worker": os.getpid()}
    configure_logs(constant, deployment.code_directory, deployment.scoring_script)
    if deployment.model_directory is not None:
        os.environ["AZUREML_MODEL_DIR"] = deployment.model_directory
        os.environ["azureml_model_dir"] = deployment.model_directory  # noqa: SIM112 - both spellings are in use
    if deployment.code_directory is not None:
        os.environ["AML_APP_ROOT"] = deployment.code_directory
        import_sources_of(deployment.code_directory)
        if source := os.environ.get("AZUREML_SOURCE_DIRECTORY"):
            sys.path.append(str(Path(deployment.code_directory, source)))
        os.chdir(deployment.code_directory)
    if deployment.scoring_script is not None:
        os.environ["AZUREML_ENTRY_SCRIPT"] = deployment.scoring_script
    shims.install()
    return checked


def _fail(announcer: Announcer, error: BaseException) -> NoReturn:
    match error:
        case StartFailed() | InvalidDocument() | CannotConfine():
            _log.critical("%s", error)
            announcer.failed(str(error))
        case _:
            _log.critical("the model cannot be started", exc_info=error)
            announcer.failed(f"{type(error).__name__}: {error}".removesuffix(": "))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(START_FAILED)  # threads that a script has left behind must not keep the process


def bind(address: str) -> socket.socket:
    """Listen on `HOST:PORT`, or on a UNIX socket that only the owner can open."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in address:
        return socket.create_server((host, int(port)), backlog=BACKLOG)
    Path(address).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    Path(address).chmod(0o600)
    return listener


if __name__ == "__main__":
    main()

"""`python -m mlops_scoring.worker --configuration FILE --socket PATH`: load one model and serve it on a UNIX socket.

Exit codes: 0 stopped by SIGTERM after the last answer; 3 the model could not be started (the reason is on the status
pipe, the traceback on standard error).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NoReturn

from mlops_scoring.configuration import Deployment, parse_worker_configuration
from mlops_scoring.documents import InvalidDocument
from mlops_scoring.worker import integrity, shims
from mlops_scoring.worker.application import Application
from mlops_scoring.worker.lifeline import Announcer, follow
from mlops_scoring.worker.runtimes import load
from mlops_scoring.worker.scoring import Scorer, StartFailed
from mlops_scoring.worker.swagger import Swagger

START_FAILED = 3
"""Exit code of a worker whose model could not be started; Azure ML's server has the same."""

_BACKLOG = 2048
_KEEP_ALIVE = 7 * 24 * 3600
"""Seconds; idle connections are the gateway's to close, so that none is closed while a request is on its way."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a worker."""
    parser = argparse.ArgumentParser(prog="python -m mlops_scoring.worker", description=__doc__)
    parser.add_argument("--configuration", required=True, help="file with the deployment's configuration")
    parser.add_argument("--socket", required=True, help="path of the UNIX socket to listen on")
    parser.add_argument("--status-fd", type=int, help="pipe to announce readiness or the reason of failure on")
    parser.add_argument("--lifeline-fd", type=int, help="pipe whose end means that the supervisor is gone")
    options = parser.parse_args(arguments)
    follow(options.lifeline_fd)
    announcer = Announcer(options.status_fd)
    # Bound before anything changes the working directory: a relative path keeps within the 107 bytes of a UNIX path.
    listener = _bind(options.socket)
    try:
        deployment = parse_worker_configuration(Path(options.configuration).read_bytes())
        executor = ThreadPoolExecutor(
            deployment.request_settings.max_concurrent_requests_per_instance, "run", initializer=_give_event_loop
        )
        # In a thread of the executor, because what init() makes may belong to the thread that run() is called in.
        scorer = executor.submit(start, deployment).result()
        swagger = Swagger(scorer.schema(), deployment.code_directory)
    except BaseException as error:  # noqa: BLE001 - scripts raise anything, SystemExit included
        _fail(announcer, error)
    _serve(Application(scorer, swagger, executor), listener, announcer)


def _give_event_loop() -> None:
    # Scripts call asyncio.get_event_loop(), which Azure ML's server answers because it runs them in the main thread.
    asyncio.set_event_loop(asyncio.new_event_loop())


def start(deployment: Deployment) -> Scorer:
    """Check the files, prepare the process as Azure ML's image does, and load the model.

    Raises:
        StartFailed: The deployment cannot be served.
        BaseException: Whatever an entry script raises.
    """
    if deployment.model_directory is not None:
        integrity.verify(deployment.model_directory, deployment.model_files)
    os.environ.update(deployment.environment_variables)
    level = os.environ.get("AZUREML_LOG_LEVEL", "INFO").upper()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname).1s [%(process)d] %(name)s - %(message)s")
    if deployment.model_directory is not None:
        os.environ["AZUREML_MODEL_DIR"] = deployment.model_directory
        os.environ["azureml_model_dir"] = deployment.model_directory  # noqa: SIM112 - both spellings are in use
    if deployment.code_directory is not None:
        os.environ["AML_APP_ROOT"] = deployment.code_directory
        sys.path.insert(0, deployment.code_directory)
        os.chdir(deployment.code_directory)
    if deployment.scoring_script is not None:
        os.environ["AZUREML_ENTRY_SCRIPT"] = deployment.scoring_script
    shims.install()
    return load(deployment)


def _fail(announcer: Announcer, error: BaseException) -> NoReturn:
    match error:
        case StartFailed() | InvalidDocument():
            sys.stderr.write(f"{error}\n")
            announcer.failed(str(error))
        case _:
            traceback.print_exception(error)
            announcer.failed(f"{type(error).__name__}: {error}".removesuffix(": "))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(START_FAILED)  # threads that a script has left behind must not keep the process


def _bind(path: str) -> socket.socket:
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    Path(path).chmod(0o600)
    return listener


def _serve(application: Application, listener: socket.socket, announcer: Announcer) -> None:
    import uvicorn  # noqa: PLC0415 - the model comes first, and its failure needs no server

    class Server(uvicorn.Server):
        """Announces that it listens."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            announcer.ready()

    server = Server(
        uvicorn.Config(
            application,
            interface="asgi3",
            http="httptools",
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            log_level="warning",
            server_header=False,
            date_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE,
        )
    )

    def stop(number: int, frame: FrameType | None) -> None:
        # uvicorn raises the signal again once it has drained; handled here, the exit code is 0.
        del number, frame
        server.should_exit = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the supervisor's to handle
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()

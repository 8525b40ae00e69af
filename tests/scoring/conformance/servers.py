"""Azure ML's server and ours, started as users start them, with the same script and environment."""

from __future__ import annotations

import http.client
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.scoring.rig import PATIENCE, ask, await_truth, free_port, make_deployment

_LAUNCHER = (
    "import sys; from azureml_inference_server_http import amlserver; amlserver.DEFAULT_HOST = '127.0.0.1'; "
    "sys.argv[0] = 'azmlinfsrv'; amlserver.run()"
)
"""`azmlinfsrv`, which has no option for the address: on loopback, where tests have to stay."""


@dataclass(frozen=True)
class Setup:
    """A script with its environment.

    Attributes:
        installed: Ours runs where Azure ML's package is installed too, and its own classes are in scripts' hands.
        files: More files of the code directory.
        environment: Environment variables.
        script: Path of the script within the code directory.
    """

    source: str
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    script: str = "score.py"
    installed: bool = False

    def write(self, folder: Path) -> Path:
        """Make the code directory."""
        for name, text in {**self.files, self.script: self.source}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return folder

    def deployment(self, code: Path, python: Path) -> dict[str, object]:
        """The deployment's document for ours."""
        return make_deployment(
            code,
            python=str(python),
            scoring_script=self.script,
            environment_variables=dict(self.environment),
            request_settings={
                "request_timeout_ms": 20000,
                "max_concurrent_requests_per_instance": 1,
                "max_queue_wait_ms": 20000,
            },
        )


@dataclass
class Reference:
    """A running `azmlinfsrv` with one worker."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path

    def log(self) -> str:
        """What it wrote."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def await_ready(self) -> None:
        """Wait until it answers."""

        def healthy() -> bool:
            assert self.process.poll() is None, self.log()
            try:
                return ask(self.port, "GET", "/").status == 200
            except (OSError, http.client.HTTPException):
                return False

        await_truth(healthy, "the reference answers")

    def stop(self) -> None:
        """End it with its workers."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_reference(python: Path, code: Path, setup: Setup, *arguments: str) -> Reference:
    """Start the reference; it is not ready yet.

    Args:
        python: Interpreter of an environment that has it.
        code: The code directory; also its HOME, where its server keeps a socket, and its working directory.
        setup: Script and environment.
        arguments: Further arguments of `azmlinfsrv`; with none, the script is given.
    """
    port = free_port()
    output = code.parent / "reference.txt"
    given = arguments or ("--entry_script", str(code / setup.script))
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL", "TZ"}}
    with output.open("wb") as log:
        process = subprocess.Popen(
            [str(python), "-P", "-c", _LAUNCHER, *given, "--port", str(port)],
            cwd=code,
            env=kept | {"HOME": str(code.parent), "PYTHONDONTWRITEBYTECODE": "1", **setup.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return Reference(process, port, output)

"""Virtual environments with the packages that models need, made once a machine."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

MODELS = (
    "numpy==2.4.6",
    "scikit-learn==1.9.1",
    "joblib==1.6.0",
    "skops==0.16.0",
    "onnx==1.23.2",
    "onnxruntime==1.31.1",
    "skl2onnx==1.20.0",
    "pandas==3.1.1",
    "mlflow-skinny==3.17.2",
)
"""What the runtimes without an entry script need, and what makes their models."""

SCHEMAS = ("inference-schema==1.8", "numpy==1.26.4", "pandas==2.2.3", "python-dateutil==2.9.0.post0", "pytz==2025.2")
"""Azure ML's schema decorators."""

FLASK = ("azureml-inference-server-http==1.5.1",)
"""Azure ML's own server, for scripts that run where it is installed."""

TRITON = ("tritonclient[http]==2.73.0", "numpy==2.4.6")
"""The Open Inference Protocol's client, made by others."""


def make_environment(cache: Path, requirements: tuple[str, ...]) -> Path:
    """An environment with these packages and this checkout's server; its interpreter.

    The folder is made under another name first, so that an interrupted run leaves nothing half-made.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(json.dumps([python, str(ROOT), requirements]).encode()).hexdigest()[:16]
    folder = cache / f"scoring-{digest}"
    with (cache / f"scoring-{digest}.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
            server = f"{ROOT / 'tooling' / 'scoring'}[worker]"
            interpreter = str(folder / "bin" / "python")
            _uv("pip", "install", "--quiet", "--python", interpreter, "--editable", server, *requirements)
            (folder / "made").touch()
    return folder / "bin" / "python"


def _uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments], check=True)


def run_in(python: Path, program: str, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Run a program in an environment; what it prints last, as JSON."""
    done = subprocess.run(
        [str(python), "-P", "-c", program, *arguments], check=False, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])

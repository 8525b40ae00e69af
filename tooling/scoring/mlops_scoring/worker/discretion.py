"""Libraries that report to their makers are told not to: a model server speaks of its models to its owners only."""

from __future__ import annotations

import os

_SILENCED = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime from 1.29 on: uploads, and files below HOME and in TMPDIR
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


def keep_quiet() -> None:
    """Set the variables that such libraries read, where the deployment does not set them itself."""
    for name, value in _SILENCED.items():
        os.environ.setdefault(name, value)

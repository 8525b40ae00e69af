"""A worker's configuration from the variables that images of Azure ML are set up with, where no file gives one."""

from __future__ import annotations

from pathlib import Path

from mlops_scoring.azureml_settings import Settings
from mlops_scoring.configuration import FORMAT

_LONGEST_WAIT_MS = 300_000
_LONGEST_RUN_MS = 3_600_000


def make_document(settings: Settings, python: str) -> dict[str, object]:
    """The document that a worker is started with: one entry script, and the model as the script finds it.

    Nothing declares the model's files here, so nothing is verified: the script loads what AZUREML_MODEL_DIR has, as it
    does under azureml-inference-server-http. A request waits for its turn as long as a worker of that server may take.

    Args:
        settings: What the variables say.
        python: The interpreter of the workers.
    """
    script = Path(settings.script)
    root = Path(settings.app_root).resolve()
    inside = script.resolve().is_relative_to(root)
    deployment = {
        "python": python,
        "instance_count": 1,
        "runtime": "script",
        "model_directory": None,
        "code_directory": str(root if inside else script.resolve().parent),
        "scoring_script": str(script.resolve().relative_to(root)) if inside else script.name,
        "request_settings": {
            # Later than SCORING_TIMEOUT_MS, which the worker reads too, and answers as Azure ML's server does.
            "request_timeout_ms": max(_LONGEST_RUN_MS, 2 * (settings.scoring_timeout_ms or 0)),
            "max_concurrent_requests_per_instance": 1,
            "max_queue_wait_ms": min(settings.worker_timeout_seconds * 1000, _LONGEST_WAIT_MS) or _LONGEST_WAIT_MS,
        },
    }
    return {"format": FORMAT, "endpoint": settings.service_name, "live_name": "default", "deployment": deployment}

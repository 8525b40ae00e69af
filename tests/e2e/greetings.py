"""Documents of a repository whose models are greetings."""

from __future__ import annotations

GREETINGS = {"1": "Hello", "2": "Moin", "3": "Servus"}
PATIENT = {"request_timeout_ms": 60000, "max_queue_wait_ms": 60000}
"""On a machine that is busy with something else, an answer may be late; late is not lost."""

SCRIPT = '''"""Greets."""

import json
import os
from pathlib import Path

_loaded = {}


def init():
    """Load the greeting; where a gate is named and stands, only after somebody has opened and closed it."""
    gate = Path(os.environ.get("GATE", "/nowhere"))
    if gate.exists():
        with gate.open() as stream:
            stream.read()
    model = Path(os.environ["AZUREML_MODEL_DIR"]) / "greeting.json"
    _loaded["greeting"] = json.loads(model.read_text())["greeting"]


def run(data):
    """Say the greeting and who says it; an empty request says that all is well."""
    if not json.loads(data):
        return {"well": True}
    return {"greeting": _loaded["greeting"], "pid": os.getpid()}
'''


def deployment(model: str = "greeting:1", **fields: object) -> dict[str, object]:
    """A deployment's document; fields are added or replaced."""
    script = {"code": "code", "scoring_script": "score.py"}
    settled = {"environment": "plain:1", "code_configuration": script, "request_settings": PATIENT}
    return {"model": model, **settled, **fields}


def endpoint(**fields: object) -> dict[str, object]:
    """An endpoint's document; fields are added, replaced, or left out where they are None."""
    settled: dict[str, object] = {
        "type": "online",
        "auth_mode": "none",
        "deployments": {"main": deployment()},
        "sample_request": {"request": "sample.json", "expected": {"well": True}},
        "rollout": {"strategy": "canary", "weights": [50]},
    }
    return {name: value for name, value in (settled | fields).items() if value is not None}

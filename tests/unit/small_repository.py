"""A small repository that is in order: one model, one environment, one endpoint in two stages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mlops.lockfile import LockInput, lock_header, server_requirements

WEIGHTS = b"weights"
SHA = hashlib.sha256(WEIGHTS).hexdigest()

FILES: Mapping[str, str | bytes] = {
    "mlops.yaml": (
        "project: demo\ncomputes:\n  laptop: {type: memory}\n  tower: {type: memory}\nstages:\n  dev: {}\n  prod: {}\n"
    ),
    "models/fraud/1.yaml": f"path: 1.onnx\nsha256: {SHA}\nflavors: {{onnx: {{}}}}\n",
    "models/fraud/1.onnx": WEIGHTS,
    "environments/onnx/1.yaml": "requirements: [numpy]\n",
    "environments/onnx/1.lock": lock_header("onnx:1", LockInput(("numpy",), None, (), server_requirements())),
    "endpoints/fraud/endpoint.yaml": "deployments:\n  blue:\n    environment: onnx:1\n",
    "endpoints/fraud/dev.yaml": "compute: laptop\ndeployments:\n  blue: {model: fraud:1}\n",
    "endpoints/fraud/prod.yaml": "compute: tower\ndeployments:\n  blue: {model: fraud:1}\n",
}


def write_repository(root: Path, changes: Mapping[str, str | bytes | None]) -> Path:
    """Write the small repository with files added, replaced or (None) left out; return its root."""
    for name, content in {**FILES, **changes}.items():
        path = root / name
        if content is None:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root

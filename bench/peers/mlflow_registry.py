"""Register model versions in MLflow's SQLite-backed registry for some seconds, and write how many a second it did.

Runs in the peer's own environment: `mlflow_registry.py FOLDER ANSWER.json`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from mlflow.tracking import MlflowClient

SECONDS = 5.0


def main(folder: Path, answer: Path) -> None:
    """Measure."""
    folder.mkdir()
    source = folder / "model.bin"
    source.write_bytes(b"content")
    address = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(tracking_uri=address, registry_uri=address)
    client.create_registered_model("m")
    client.create_model_version("m", source=str(source))
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < SECONDS:
        client.create_model_version("m", source=str(source), tags={"team": "bench"})
        count += 1
    answer.write_text(json.dumps(count / (time.perf_counter() - begin)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""The entry script that every server runs: rows in, labels out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np

STATE: dict[str, Any] = {}


def init() -> None:
    """Load the model."""
    STATE["model"] = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"], "model.joblib"))


def run(data: str | bytes) -> object:
    """Labels of the rows."""
    return STATE["model"].predict(np.asarray(json.loads(data)["data"])).tolist()

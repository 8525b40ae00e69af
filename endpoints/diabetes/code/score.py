"""Score patients: measurements by name in, progression of the disease a year ahead out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import joblib

MEASUREMENTS = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
_loaded: dict[str, Any] = {}


def init() -> None:
    """Load the model once, before the first request."""
    _loaded["model"] = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "model.joblib")


def run(data: str) -> dict[str, list[float]]:
    """Score `{"data": [{"age": 52, "bmi": 28.5, ...}, ...]}`."""
    rows = [[float(patient[name]) for name in MEASUREMENTS] for patient in json.loads(data)["data"]]
    return {"progression": [round(float(value), 6) for value in _loaded["model"].predict(rows)]}

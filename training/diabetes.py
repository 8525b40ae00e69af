"""Train, evaluate and sample the `diabetes` model: progression of the disease a year after a patient was measured.

Runs in the training environment (`training/requirements.lock`). A quarter of the data, the same one every time, is held
out, and every metric comes from it.

    python training/diabetes.py train OUTPUT             a model.joblib and the card.json that says what it is
    python training/diabetes.py evaluate MODEL.joblib    its metrics, as JSON
    python training/diabetes.py sample MODEL.joblib      a request and this model's answer to it, as JSON
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, TypeAlias

import joblib
import numpy as np
import sklearn
from sklearn import datasets
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 20260101
SAMPLES = 2
Split: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _split() -> Split:
    """Training patients, held-out patients, training progression, held-out progression."""
    patients, progression = datasets.load_diabetes(return_X_y=True, scaled=False)
    split: Split = tuple(train_test_split(patients, progression, test_size=0.25, random_state=SEED))
    return split


def _data() -> dict[str, str]:
    """Which data: the two files that scikit-learn carries, digested as the lines that `sha256sum` would print."""
    folder = Path(datasets.__file__).parent / "data"
    files = ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz")
    lines = "".join(f"{_sha256(folder / name)}  {name}\n" for name in files)
    return {"name": "scikit-learn bundled diabetes", "sha256": hashlib.sha256(lines.encode()).hexdigest()}


def _sha256(path: Path) -> str:
    """Digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def train(output: Path) -> None:
    """Fit a ridge regression on standardised measurements, and write it with its card."""
    patients, _, progression, _ = _split()
    fitted = make_pipeline(StandardScaler(), Ridge(alpha=10.0)).fit(patients, progression)
    output.mkdir(parents=True, exist_ok=True)
    path = output / "model.joblib"
    joblib.dump(fitted, path)
    card = {
        "description": "Ridge regression on ten standardised measurements of a patient.",
        "sha256": _sha256(path),
        "metrics": evaluate(path),
        "script": "training/diabetes.py",
        "data": _data(),
        "framework": {"name": "scikit-learn", "version": sklearn.__version__},
    }
    (output / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def evaluate(path: Path) -> dict[str, float]:
    """Metrics of a model file on the held-out quarter."""
    _, patients, _, progression = _split()
    answers = joblib.load(path).predict(patients)
    return {
        "r2": round(float(r2_score(progression, answers)), 4),
        "rmse": round(float(root_mean_squared_error(progression, answers)), 2),
        "mae": round(float(mean_absolute_error(progression, answers)), 2),
        "held_out": len(progression),
    }


def sample(path: Path) -> dict[str, Any]:
    """The first held-out patients by name of measurement, and what the model says of them."""
    _, patients, _, _ = _split()
    names = datasets.load_diabetes(scaled=False).feature_names
    rows = patients[:SAMPLES]
    return {
        "request": {"data": [dict(zip(names, (float(value) for value in row), strict=True)) for row in rows]},
        "expected": {"progression": [round(float(answer), 6) for answer in joblib.load(path).predict(rows)]},
    }


def main(arguments: list[str]) -> None:
    """Do one of the three."""
    match arguments:
        case ["train", output]:
            train(Path(output))
        case ["evaluate", path]:
            sys.stdout.write(json.dumps(evaluate(Path(path))) + "\n")
        case ["sample", path]:
            sys.stdout.write(json.dumps(sample(Path(path))) + "\n")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Train, evaluate and sample the `digits` models: handwritten digits of 8 x 8 grey pixels.

Runs in the training environment (`training/requirements.lock`). A quarter of the data, the same one every time, is held
out: no recipe sees it, and every metric comes from it.

    python training/digits.py train linear OUTPUT      a model.onnx and the card.json that says what it is
    python training/digits.py evaluate MODEL.onnx      its metrics, as JSON
    python training/digits.py sample                   a request and the right answer to it, as JSON
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
import sklearn
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler

SEED = 20260101
SAMPLES = 3
Split: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
OPSET = {"": 18, "ai.onnx.ml": 3}


def _linear(pixels: np.ndarray, digits: np.ndarray) -> Pipeline:
    """Logistic regression: the plain baseline."""
    return make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=2000)).fit(pixels, digits)


def _network(pixels: np.ndarray, digits: np.ndarray) -> Pipeline:
    """A small neural network: better than the baseline, ten times larger."""
    network = MLPClassifier((128,), alpha=0.01, max_iter=600, random_state=SEED)
    return make_pipeline(MinMaxScaler(), network).fit(pixels, digits)


def _shuffled(pixels: np.ndarray, digits: np.ndarray) -> Pipeline:
    """The mistake that canaries are for: images and labels were shuffled apart, and nothing failed."""
    apart = np.random.default_rng(SEED).permutation(digits)
    return _linear(pixels, apart)


RECIPES: dict[str, Callable[[np.ndarray, np.ndarray], Pipeline]] = {
    "linear": _linear,
    "network": _network,
    "shuffled": _shuffled,
}


def _split() -> Split:
    """Training pixels, held-out pixels, training digits, held-out digits."""
    pixels, digits = datasets.load_digits(return_X_y=True)
    split: Split = tuple(
        train_test_split(pixels.astype(np.float32), digits, test_size=0.25, random_state=SEED, stratify=digits)
    )
    return split


def _data() -> dict[str, str]:
    """Which data: the file that scikit-learn carries."""
    path = Path(datasets.__file__).parent / "data/digits.csv.gz"
    return {"name": "scikit-learn bundled digits (UCI optical recognition)", "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    """Digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def train(recipe: str, output: Path) -> None:
    """Fit a recipe, convert it to ONNX (labels, then probabilities) and write it with its card."""
    pixels, _, digits, _ = _split()
    fitted = RECIPES[recipe](pixels, digits)
    shape = [("pixels", FloatTensorType([None, 64]))]
    model = to_onnx(fitted, initial_types=shape, target_opset=OPSET, options={"zipmap": False})
    output.mkdir(parents=True, exist_ok=True)
    path = output / "model.onnx"
    path.write_bytes(model.SerializeToString())
    card = {
        "description": " ".join((RECIPES[recipe].__doc__ or "").split()),
        "sha256": _sha256(path),
        "metrics": evaluate(path),
        "script": "training/digits.py",
        "parameters": {"recipe": recipe},
        "data": _data(),
        "framework": {"name": "scikit-learn", "version": sklearn.__version__},
    }
    (output / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def evaluate(path: Path) -> dict[str, float]:
    """Metrics of a model file on the held-out quarter, as the serving runtime computes its answers."""
    _, pixels, _, digits = _split()
    (answers,) = onnxruntime.InferenceSession(path).run(["label"], {"pixels": pixels})
    return {
        "accuracy": round(float(accuracy_score(digits, answers)), 4),
        "f1_macro": round(float(f1_score(digits, answers, average="macro")), 4),
        "held_out": len(digits),
    }


def sample() -> dict[str, Any]:
    """The first held-out images, and what they show."""
    _, pixels, _, digits = _split()
    return {
        "request": {"data": [[int(pixel) for pixel in row] for row in pixels[:SAMPLES]]},
        "expected": [int(digit) for digit in digits[:SAMPLES]],
    }


def main(arguments: list[str]) -> None:
    """Do one of the three."""
    match arguments:
        case ["train", recipe, output]:
            train(recipe, Path(output))
        case ["evaluate", path]:
            sys.stdout.write(json.dumps(evaluate(Path(path))) + "\n")
        case ["sample"]:
            sys.stdout.write(json.dumps(sample()) + "\n")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Fits every estimator that takes a small table, and loads what it saves; run in the models' environment.

Prints what was refused or came back different, and how many files were fine.
"""

from __future__ import annotations

import importlib
import io
import json
import pickle
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_scoring import pickles

_SLOW = {"MLPClassifier", "MLPRegressor", "LatentDirichletAllocation", "TSNE"}


@dataclass
class Policy:
    """What a file needs, and no more."""

    classes: tuple[str, ...]
    formats: tuple[str, ...] = ("joblib", "pickle")


def estimators(rows: Any, labels: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - NumPy is not installed elsewhere
    """Fitted estimators."""
    numpy, pipeline = importlib.import_module("numpy"), importlib.import_module("sklearn.pipeline")
    found = dict(importlib.import_module("sklearn.utils").all_estimators())
    for name, kind in found.items():
        if name in _SLOW:
            continue
        try:
            made = kind()
            if hasattr(made, "n_estimators"):
                made.n_estimators = 3
            yield name, made.fit(rows, labels)
        except Exception:  # noqa: BLE001, S112 - it takes other data; what does fit is counted
            continue
    steps = [
        found["FunctionTransformer"](numpy.log1p),
        found["SelectKBest"](k=2),
        found["GradientBoostingClassifier"](),
    ]
    yield "pipeline", pipeline.make_pipeline(*steps).fit(rows, labels)
    yield "columns", found["ColumnTransformer"]([("a", found["StandardScaler"](), [0, 1])]).fit(rows)


def outputs(model: Any, rows: Any) -> list[Any]:  # noqa: ANN401 - as above
    """What a model says; nothing where it takes other rows."""
    said = []
    for method in ("predict", "transform"):
        try:
            value = getattr(model, method)(rows)
        except Exception:  # noqa: BLE001 - both of a pair say the same, or the pair differs
            value = None
        said.append(value.toarray() if hasattr(value, "toarray") else value)
    return said


def problem(path: Path, wanted: list[Any], rows: Any) -> str | None:  # noqa: ANN401 - as above
    """What is wrong with a saved model."""
    try:
        loaded = pickles.load(path, Policy(tuple(pickles.needed_classes(path))))
    except (pickles.PickleRefused, ValueError) as refused:
        return str(refused)
    try:
        for left, right in zip(wanted, outputs(loaded, rows), strict=True):
            importlib.import_module("numpy.testing").assert_allclose(right, left, rtol=1e-9, atol=1e-12)
    except TypeError:  # texts have no distance
        return (
            None if [str(found) for found in wanted] == [str(found) for found in outputs(loaded, rows)] else "differs"
        )
    except AssertionError as error:
        return str(error)
    return None


def main(folder: Path) -> None:
    """Try everything."""
    warnings.simplefilter("ignore")
    joblib = importlib.import_module("joblib")
    rows, labels = importlib.import_module("sklearn.datasets").load_iris(return_X_y=True)
    problems, fine = [], 0
    for name, model in estimators(abs(rows), labels):
        files = {"0.pkl": pickle.dumps(model, 0), "5.pkl": pickle.dumps(model, 5)}
        buffer = io.BytesIO()
        joblib.dump(model, buffer)
        files["model.joblib"] = buffer.getvalue()
        wanted = outputs(model, rows)
        for file, content in files.items():
            path = folder / file
            path.write_bytes(content)
            found = problem(path, wanted, rows)
            if found is None:
                fine += 1
            else:
                problems.append(f"{name} {file}: {found}")
    sys.stdout.write(json.dumps([problems, fine]) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

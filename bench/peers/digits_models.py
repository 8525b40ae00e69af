"""Make the measured models in a folder: logistic regression and a random forest on digits, for joblib and for ONNX."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import joblib
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

folder = Path(sys.argv[1])
rows, labels = load_digits(return_X_y=True)
models = {
    "regression": LogisticRegression(max_iter=2000),
    "forest": RandomForestClassifier(n_estimators=100, random_state=0, n_jobs=1),
}
for name, model in models.items():
    model.fit(rows, labels)
    for runtime in ("sklearn", "onnx"):
        (folder / f"{name}-{runtime}").mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / f"{name}-sklearn/model.joblib")
    converted = to_onnx(model, rows[:1].astype("float32"), options={"zipmap": False})
    (folder / f"{name}-onnx/model.onnx").write_bytes(converted.SerializeToString())
(folder / "request.json").write_text(json.dumps({"data": rows[:1].tolist()}), encoding="utf-8")

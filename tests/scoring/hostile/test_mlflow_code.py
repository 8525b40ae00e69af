"""An `MLmodel` file comes with the model: it cannot have MLflow run what Git does not know."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.scoring.rig import launch_worker, make_deployment

from mlops_scoring.configuration import PicklePolicy
from mlops_scoring.worker.runtimes.mlflow_code import refuse_code
from mlops_scoring.worker.scoring import StartFailed

EVIL = "import os\nos.system('touch hacked')\ndef _load_pyfunc(path): return None\n"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("loader_module: mlflow.sklearn", "loader_module: evil\n    code: code", "brings code (python_function.code)"),
        ("loader_module: mlflow.sklearn", "loader_module: antigravity", "asks for the loader antigravity"),
        ("loader_module: mlflow.sklearn", "loader_module: mlflow.sklearn\n    model_code_path: code/evil.py", "code"),
        ("    code: null", "    code: code", "brings code (sklearn.code)"),
        ("model_path: model.skops", "model_path: /etc/passwd", "outside the model (python_function.model_path)"),
        ("pickled_model: model.skops", "pickled_model: ../m.skops", "outside the model (sklearn.pickled_model)"),
        ("skops_trusted_types: null", "skops_trusted_types: [os.system]", "trusts os.system, which pickle_policy"),
    ],
)
def test_what_brings_code_is_not_loaded(
    short_path: Path, models: Path, models_python: Path, old: str, new: str, reason: str
) -> None:
    model = short_path / "model"
    shutil.copytree(models / "mlflow", model)
    text = (model / "MLmodel").read_text()
    assert old in text
    (model / "MLmodel").write_text(text.replace(old, new))
    (model / "code").mkdir()
    (model / "code" / "evil.py").write_text(EVIL)
    deployment = make_deployment(python=str(models_python), runtime="mlflow", model_directory=str(model))
    worker, announced = launch_worker(short_path / "w", deployment)
    assert worker.process.wait(60) == 3
    assert announced["event"] == "failed"
    assert reason in announced["reason"]
    assert not list(short_path.rglob("hacked"))
    assert not Path("hacked").exists()


def test_types_that_git_lists_may_be_trusted() -> None:
    flavors = {"sklearn": {"skops_trusted_types": ["sklearn.tree._tree.Tree"], "code": None}}
    refuse_code(flavors, PicklePolicy((), ("sklearn.tree._tree.Tree",)))
    with pytest.raises(StartFailed):
        refuse_code(flavors, PicklePolicy())
    with pytest.raises(StartFailed):
        refuse_code({"sklearn": {"skops_trusted_types": "os.system"}}, PicklePolicy())

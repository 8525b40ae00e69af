"""How a model becomes a scorer: an entry script, or a runtime that needs none.

Each runtime's packages belong to the user's environment and are imported only here, when the runtime is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from mlops_scoring import pickles
from mlops_scoring.configuration import Deployment
from mlops_scoring.worker.runtimes.scorer import ModelScorer
from mlops_scoring.worker.scoring import Scorer, StartFailed


def load(deployment: Deployment) -> Scorer:
    """Load the deployment's model.

    Raises:
        StartFailed: It cannot be served; a file holds a pickle that the policy does not allow, for example.
        BaseException: Whatever the model's own code raises.
    """
    _refuse_pickles(deployment)
    directory = Path(deployment.model_directory or "")
    match deployment.runtime:
        case "script":
            from mlops_scoring.worker.entry_script import load_script  # noqa: PLC0415 - each runtime alone

            code, script = deployment.code_directory or "", deployment.scoring_script or ""
            return load_script(code, script, show_tracebacks=deployment.show_tracebacks)
        case "onnx":
            from mlops_scoring.worker.runtimes.onnx import load_onnx  # noqa: PLC0415 - as above

            onnx = load_onnx(directory, deployment)
            return ModelScorer(onnx, onnx.takes_rows)
        case "sklearn":
            from mlops_scoring.worker.runtimes.sklearn import load_sklearn  # noqa: PLC0415 - as above

            return ModelScorer(load_sklearn(directory, deployment), takes_rows=True)
        case "mlflow":
            from mlops_scoring.worker.runtimes.mlflow import load_mlflow  # noqa: PLC0415 - as above

            mlflow = load_mlflow(directory, deployment)
            return ModelScorer(mlflow, not mlflow.tensors_wanted)
        case _:
            assert_never(deployment.runtime)


def _refuse_pickles(deployment: Deployment) -> None:
    if deployment.model_directory is None:
        return
    for path in sorted(Path(deployment.model_directory).rglob("*")):
        if path.is_file() and pickles.may_hold_pickle(path):
            problems = pickles.scan(path, deployment.pickle_policy)
            if problems:
                raise StartFailed(f"{path.name} is refused: {'; '.join(problems)}")

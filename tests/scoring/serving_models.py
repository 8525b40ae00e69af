"""Workers that serve models without an entry script, each started once for the tests of a module."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.scoring.rig import Worker, launch_worker, make_deployment

ServeModel = Callable[..., Worker]

CLASSES = {
    "logistic": ["sklearn.linear_model._logistic.LogisticRegression"],
    "objects": ["sklearn.linear_model._logistic.LogisticRegression"],
    "named": ["sklearn.linear_model._base.LinearRegression"],
    "forest": [
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._tree.Tree",
    ],
}
"""Classes that the models' pickles need."""


class ModelWorkers:
    """Starts workers and ends them.

    Args:
        python: The models' interpreter.
        models: The folder with the models.
        folder: Where workers may write.

    Attributes:
        python: That interpreter.
    """

    def __init__(self, python: Path, models: Path, folder: Path) -> None:
        """None is started."""
        self.python = python
        self._models = models
        self._folder = folder
        self._started: dict[str, Worker] = {}

    def deployment(self, runtime: str, name: str, **changes: Any) -> dict[str, object]:  # noqa: ANN401 - JSON
        """A deployment of one of the models, called after its folder, in version 7."""
        directory = self._models / name
        files = {
            str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in directory.rglob("*")
            if path.is_file()
        }
        return make_deployment(
            python=str(self.python),
            runtime=runtime,
            model={"name": name, "version": "7"},
            model_directory=str(directory),
            model_files=files,
            pickle_policy={"formats": ["joblib"], "classes": CLASSES.get(name.partition("-")[0], [])},
            **changes,
        )

    def serve(self, runtime: str, name: str, **changes: Any) -> Worker:  # noqa: ANN401 - JSON
        """A worker with one of the models, ready; the same one for the same wishes."""
        key = f"{runtime} {name} {changes}"
        if key not in self._started:
            folder = self._folder / str(len(self._started))
            worker, announced = launch_worker(folder, self.deployment(runtime, name, **changes))
            self._started[key] = worker
            assert announced == {"event": "ready"}, (announced, worker.log())
        return self._started[key]

    def stop(self) -> None:
        """End all."""
        for worker in self._started.values():
            worker.kill()

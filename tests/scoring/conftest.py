"""Supervisors and workers that end with their test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.scoring.environments import MODELS, make_environment, run_in
from tests.scoring.rig import ECHO, Supervised, Worker, launch_worker, make_code, make_deployment
from tests.scoring.serving_models import ModelWorkers

StartWorker = Callable[..., Worker]


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name within the 107 bytes of a UNIX path."""
    folder = Path(tempfile.mkdtemp(prefix="ms-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def supervised(short_path: Path) -> Iterator[Supervised]:
    """An endpoint; the test starts it."""
    endpoint = Supervised(short_path / "e")
    yield endpoint
    endpoint.stop()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A code directory with the echoing script."""
    return make_code(tmp_path / "code")


@pytest.fixture
def serving(supervised: Supervised, code: Path) -> Supervised:
    """An endpoint with one healthy deployment, `blue-1`, called `blue`."""
    document = supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 100}, {"blue": "blue-1"})
    supervised.start(document)
    supervised.await_state("blue-1", "Healthy")
    return supervised


@pytest.fixture
def start_worker(short_path: Path) -> Iterator[StartWorker]:
    """Starts a worker with a script, ready."""
    workers: list[Worker] = []

    def start(source: str = ECHO, **changes: object) -> Worker:
        folder = short_path / str(len(workers))
        deployment = make_deployment(make_code(folder / "code", source), **changes)
        worker, announced = launch_worker(folder, deployment)
        workers.append(worker)
        assert announced == {"event": "ready"}, (announced, worker.log())
        return worker

    yield start
    for worker in workers:
        worker.kill()


@pytest.fixture(scope="session")
def models_python(test_cache: Path) -> Path:
    """An interpreter with scikit-learn, onnxruntime, skops and MLflow."""
    return make_environment(test_cache, MODELS)


@pytest.fixture(scope="session")
def models(models_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small, real models in every format that is served, and what they predict."""
    folder = tmp_path_factory.mktemp("models")
    run_in(models_python, Path(__file__).with_name("make_models.py").read_text(encoding="utf-8"), str(folder))
    return folder


@pytest.fixture(scope="module")
def served(models_python: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelWorkers]:
    """Workers that serve those models, for the tests of one module."""
    workers = ModelWorkers(models_python, models, tmp_path_factory.mktemp("w"))
    yield workers
    workers.stop()

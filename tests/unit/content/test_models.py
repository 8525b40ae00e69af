"""The repository's own models are what their files say: content, metrics, and the answers that endpoints expect."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

_ROOT = Path(__file__).parents[3]
_VERSIONS = sorted(path.relative_to(_ROOT).as_posix() for path in _ROOT.glob("models/*/*.yaml"))
_LARGEST = 300_000


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load((_ROOT / name).read_text(encoding="utf-8"))
    return document


def _artifact(name: str) -> Path:
    path: str = _read(name)["path"]
    return (_ROOT / name).parent / path


@cache
def _training_python() -> str:
    command = [sys.executable, "tooling/locked_environment.py", "training/requirements.lock"]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _train(*arguments: str | Path) -> str:
    """The output of one of the training scripts, run as `make train` does; a warning is an error here too."""
    command = [_training_python(), "-W", "error", *map(str, arguments)]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout


def test_the_models_that_the_product_shows_are_there() -> None:
    assert _VERSIONS == [
        "models/diabetes/1.yaml",
        "models/digits/1.yaml",
        "models/digits/2.yaml",
        "models/digits/3.yaml",
    ]


@pytest.mark.parametrize("name", _VERSIONS)
def test_content_has_the_declared_digest_and_is_small(name: str) -> None:
    content = _artifact(name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == _read(name)["sha256"]
    assert len(content) <= _LARGEST


@pytest.mark.parametrize("name", _VERSIONS)
def test_metrics_are_those_of_the_file_on_data_that_no_recipe_saw(name: str) -> None:
    document = _read(name)
    script = document["trained_by"]["script"]
    assert json.loads(_train(script, "evaluate", _artifact(name))) == document["metrics"]


@pytest.mark.parametrize("name", _VERSIONS)
def test_training_again_gives_the_same_metrics_data_and_framework(name: str, tmp_path: Path) -> None:
    document = _read(name)
    made_by = document["trained_by"]
    _train(made_by["script"], "train", *made_by.get("parameters", {}).values(), tmp_path)
    card = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert card["metrics"] == pytest.approx(document["metrics"], abs=0.01)
    assert card["data"] == made_by["data"]
    assert card["framework"] == made_by["framework"]


def test_the_second_version_is_better_and_the_third_is_bad() -> None:
    first, second, third = (_read(f"models/digits/{n}.yaml")["metrics"]["accuracy"] for n in (1, 2, 3))
    assert first > 0.95
    assert second > first
    assert third < 0.5


def test_the_digits_sample_is_answered_rightly_by_the_good_versions_and_wrongly_by_the_bad_one() -> None:
    endpoint = _read("endpoints/digits/endpoint.yaml")["sample_request"]
    sample = json.loads(_train("training/digits.py", "sample"))
    assert (
        json.loads((_ROOT / "endpoints/digits" / endpoint["request"]).read_text(encoding="utf-8")) == sample["request"]
    )
    assert endpoint["expected"] == sample["expected"]
    program = (
        "import json, sys, numpy, onnxruntime\n"
        "rows = numpy.array(json.load(open(sys.argv[1]))['data'], numpy.float32)\n"
        "answers = [onnxruntime.InferenceSession(m).run(None, {'pixels': rows})[0].tolist() for m in sys.argv[2:]]\n"
        "print(json.dumps(answers))\n"
    )
    models = [_artifact(f"models/digits/{n}.yaml") for n in (1, 2, 3)]
    first, second, third = json.loads(_train("-c", program, _ROOT / "endpoints/digits/sample.json", *models))
    assert first == second == endpoint["expected"]
    assert all(wrong != right for wrong, right in zip(third, endpoint["expected"], strict=True))


def test_the_diabetes_entry_script_answers_its_sample_as_declared() -> None:
    endpoint = _read("endpoints/diabetes/endpoint.yaml")["sample_request"]
    model = _artifact("models/diabetes/1.yaml")
    program = "import json, sys, score\nscore.init()\nprint(json.dumps(score.run(sys.stdin.read())))\n"
    answered = subprocess.run(
        [_training_python(), "-c", program],
        cwd=_ROOT / "endpoints/diabetes/code",
        env=os.environ | {"AZUREML_MODEL_DIR": str(model.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        input=(_ROOT / "endpoints/diabetes" / endpoint["request"]).read_bytes(),
        capture_output=True,
        check=True,
    )
    expected = endpoint["expected"]["progression"]
    assert json.loads(answered.stdout)["progression"] == pytest.approx(expected, abs=float(endpoint["tolerance"]))


def test_every_stage_has_a_compute_of_its_own_and_every_endpoint_is_in_every_stage() -> None:
    project = _read("mlops.yaml")
    assert set(project["stages"]) == {"dev", "staging", "prod"}
    assert project["stages"]["prod"]["branch"] == "main"
    for endpoint in ("digits", "diabetes"):
        computes = [_read(f"endpoints/{endpoint}/{stage}.yaml")["compute"] for stage in project["stages"]]
        assert sorted(computes) == sorted(project["computes"])
        assert len(set(computes)) == len(computes)


def test_a_promotion_is_one_line() -> None:
    """The model of a stage stands on one line of the stage's file and nowhere else."""
    for endpoint, model in (("digits", "digits:1"), ("diabetes", "diabetes:1")):
        for stage in ("dev", "staging", "prod"):
            text = (_ROOT / f"endpoints/{endpoint}/{stage}.yaml").read_text(encoding="utf-8")
            assert text.count(f"model: {model}") == 1
        assert "model:" not in (_ROOT / f"endpoints/{endpoint}/endpoint.yaml").read_text(encoding="utf-8")

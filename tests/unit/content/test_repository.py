"""This repository is its own first user: the toolkit accepts all that it declares, in every stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mlops.errors import InvalidRepository
from mlops.pipeline.workspace import Workspace, open_workspace

_ROOT = Path(__file__).parents[3]
_DECLARED = ("mlops.yaml", "models", "environments", "endpoints")
MakeRepository = Callable[[Mapping[str, str | bytes]], Path]


def _declared() -> dict[str, bytes]:
    """All files by which this repository declares something."""
    found = {}
    for name in _DECLARED:
        path = _ROOT / name
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                found[file.relative_to(_ROOT).as_posix()] = file.read_bytes()
    return found


@pytest.fixture
def workspace(make_repository: MakeRepository) -> Workspace:
    """A copy of this repository's declarations, opened."""
    return open_workspace(make_repository(_declared()))


@pytest.mark.parametrize("stage", ["dev", "staging", "prod"])
def test_every_stage_resolves_and_waits_for_nothing(workspace: Workspace, stage: str) -> None:
    resolved = workspace.resolved(stage)
    assert sorted(str(resource.address) for resource in resolved.resources) == [
        f"endpoint/diabetes@local-{stage}",
        f"endpoint/digits@local-{stage}",
    ]
    assert [resource.waits for resource in (*resolved.resources, *resolved.shared) if resource.waits] == []
    assert {str(resource.address) for resource in resolved.shared} == {
        "environment/onnx:1",
        "environment/sklearn:1",
        "model/diabetes:1",
        "model/digits:1",
        "model/digits:2",
        "model/digits:3",
    }


def test_digits_is_rolled_out_as_a_canary_that_takes_seconds(workspace: Workspace) -> None:
    [digits] = [r for r in workspace.resolved("dev").resources if r.address.name.startswith("digits@")]
    assert digits.rollout.strategy == "canary"
    assert digits.rollout.weights == (10, 50)
    assert digits.rollout.soak <= 2
    assert digits.rollout.checks.sample_request


def test_a_lock_that_was_not_made_again_is_refused(make_repository: MakeRepository) -> None:
    files = _declared()
    files["environments/onnx/1.yaml"] += b"  - pandas\n"
    with pytest.raises(InvalidRepository) as caught:
        open_workspace(make_repository(files)).resolved("dev")
    assert any("environments/onnx" in str(problem.where) for problem in caught.value.diagnostics)


def test_a_pickle_whose_classes_are_not_allowed_any_more_is_refused(make_repository: MakeRepository) -> None:
    files = _declared()
    text = files["mlops.yaml"].decode()
    files["mlops.yaml"] = text.replace("    joblib:\n", "    pickle:\n").encode()
    with pytest.raises(InvalidRepository) as caught:
        open_workspace(make_repository(files)).resolved("dev")
    assert any("joblib" in problem.detail + problem.todo for problem in caught.value.diagnostics)

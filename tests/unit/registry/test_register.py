"""`mlops model register`: the next number, a YAML that says it all, and a place for the bytes."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.features.workshop import Workshop, git

from mlops.errors import Blocked, InvalidRepository, MlopsError
from mlops.loader import load
from mlops.pipeline.models import Registration, Search, State, list_models, register
from mlops.pipeline.workspace import Workspace
from mlops.resolve import combined_digest


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop.begin(tmp_path / "repository")


@pytest.fixture
def workspace(workshop: Workshop) -> Iterator[Workspace]:
    with workshop.opened() as workspace:
        yield workspace


def file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def summaries(error: pytest.ExceptionInfo[MlopsError]) -> list[str]:
    return [diagnostic.summary for diagnostic in error.value.diagnostics]


def nothing_changed(workspace: Workspace) -> bool:
    return git(workspace.root, "status", "--porcelain", "--untracked-files=all") == ""


def test_a_file_becomes_the_first_version(workspace: Workspace, tmp_path: Path) -> None:
    source = file(tmp_path, "model.onnx", b"weights")
    said = Registration(
        description="Better: with 10 % more data",
        tags={"team": "risk", "yes": "no"},
        properties={"origin": "1.10"},
        metrics={"auc": 0.91, "count": 3},
    )
    made = register(workspace, "fraud", [source], said)
    assert (made.reference, made.file, made.beside) == ("fraud:1", "models/fraud/1.yaml", True)
    assert made.files == {"model.onnx": sha256_of(b"weights")}
    assert (workspace.root / "models/fraud/1/model.onnx").read_bytes() == b"weights"
    text = (workspace.root / made.file).read_text()
    assert text.startswith("# yaml-language-server: $schema=../../schemas/model.schema.json\n")
    document = load(workspace.root).models["fraud:1"].data
    assert document == {
        "description": "Better: with 10 % more data",
        "type": "custom_model",
        "flavors": {"onnx": {}},
        "tags": {"team": "risk", "yes": "no"},
        "properties": {"origin": "1.10"},
        "metrics": {"auc": 0.91, "count": 3},
        "path": "1/model.onnx",
        "sha256": sha256_of(b"weights"),
    }


def test_numbers_go_on_over_git_tombstones_and_folders(workshop: Workshop, tmp_path: Path) -> None:
    source = file(tmp_path, "model.onnx", b"weights")
    workshop.add_model("fraud:4")
    workshop.add_model("other:90")
    workshop.add_model("fraud:2026-01")
    with workshop.opened() as workspace:
        assert register(workspace, "fraud", [source]).version == "5"
        assert register(workspace, "fraud", [source]).version == "6"
    workshop.write({"models/fraud/tombstones.yaml": 'versions: ["9", {version: "12", reason: leak}]\n'})
    (workshop.root / "models/fraud/14").mkdir()
    with workshop.opened() as workspace:
        assert register(workspace, "fraud", [source]).version == "15"


def test_a_folder_keeps_its_names_and_gets_the_digest_of_a_folder(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    file(folder, "MLmodel", b"flavors: {}\n")
    file(folder, "data/model.skops", b"PK")
    file(folder, "__pycache__/x.pyc", b"bytecode")
    (folder / "data/model.skops").unlink()
    file(folder, "data/weights.safetensors", b"weights")
    made = register(workspace, "fraud", [folder])
    files = {"MLmodel": sha256_of(b"flavors: {}\n"), "data/weights.safetensors": sha256_of(b"weights")}
    assert made.files == files
    assert made.sha256 == combined_digest(files)
    document = load(workspace.root).models["fraud:1"].data
    assert document["type"] == "mlflow_model"
    assert document["flavors"] == {"python_function": {}}
    assert document["path"] == "1"


def test_a_folder_of_one_file_stays_a_folder(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    file(folder, "deep/model.onnx", b"weights")
    made = register(workspace, "fraud", [folder])
    assert made.sha256 == combined_digest({"deep/model.onnx": sha256_of(b"weights")})
    load(workspace.root)


def test_several_files_and_folders_keep_their_own_names(workspace: Workspace, tmp_path: Path) -> None:
    paths = [file(tmp_path, "model.onnx", b"weights"), file(tmp_path, "labels/de.txt", b"ja\n").parent]
    made = register(workspace, "fraud", paths)
    assert set(made.files) == {"model.onnx", "labels/de.txt"}
    load(workspace.root)


@pytest.mark.parametrize("count", [1, 3])
def test_large_content_goes_to_the_blob_store_at_once(workspace: Workspace, tmp_path: Path, count: int) -> None:
    paths = [file(tmp_path, f"part-{n}.safetensors", b"%d" % n * 100) for n in range(count)]
    made = register(workspace, "fraud", paths, Registration(beside_limit=99))
    assert not made.beside
    assert all(workspace.blobs.has(sha256) for sha256 in made.files.values())
    assert not (workspace.root / "models/fraud/1").exists()
    document = load(workspace.root).models["fraud:1"].data
    assert document["files"] == made.files
    assert "path" not in document


def test_where_it_was_trained_is_written_down_without_the_password(workspace: Workspace, tmp_path: Path) -> None:
    training = tmp_path / "training"
    training.mkdir()
    git(training, "init", "-q", "-b", "experiment")
    git(training, "commit", "-q", "--allow-empty", "-m", "Train")
    git(training, "remote", "add", "origin", "https://me:secret@git.example/team/fraud.git")
    said = Registration(training=training, trained_by={"script": "train.py"})
    register(workspace, "fraud", [file(tmp_path, "model.onnx", b"weights")], said)
    assert load(workspace.root).models["fraud:1"].data["trained_by"] == {
        "repository": "https://git.example/team/fraud.git",
        "branch": "experiment",
        "commit": git(training, "rev-parse", "HEAD"),
        "script": "train.py",
    }
    assert "secret" not in (workspace.root / "models/fraud/1.yaml").read_text()


@pytest.mark.parametrize("name", ["", "a/b", "..", "con", "ü", "a" * 65, "-a", "x\ny"])
def test_bad_names_are_refused_before_anything_is_written(workspace: Workspace, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRepository) as error:
        register(workspace, name, [file(tmp_path, "model.onnx", b"weights")])
    assert summaries(error) == ["Invalid name"]
    assert nothing_changed(workspace)


def test_a_name_that_differs_in_case_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    workshop.add_model("fraud:1")
    with workshop.opened() as workspace, pytest.raises(InvalidRepository) as error:
        register(workspace, "Fraud", [file(tmp_path, "model.onnx", b"weights")])
    assert summaries(error) == ["Names differ only in case"]


def test_all_bad_files_are_named_at_once(workspace: Workspace, tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
    good = file(tmp_path, "model.onnx", b"weights")
    link = tmp_path / "link.onnx"
    link.symlink_to(good)
    paths = [
        good,
        link,
        tmp_path / "absent.onnx",
        file(tmp_path, "pointer.onnx", pointer),
        file(tmp_path, "again/model.onnx", b"other"),
        file(tmp_path, "odd\nname.onnx", b"x"),
    ]
    with pytest.raises(InvalidRepository) as error:
        register(workspace, "fraud", paths)
    assert sorted(summaries(error)) == [
        "Git LFS pointer",
        "Model file cannot be read",
        "Not a regular file",
        "Two files of one name",
        "Unusable file name",
    ]
    assert nothing_changed(workspace)


def test_an_empty_folder_is_no_model(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidRepository) as error:
        register(workspace, "fraud", [tmp_path / "empty"])
    assert summaries(error) == ["No model files"]


def test_what_the_schema_refuses_is_not_written(workspace: Workspace, tmp_path: Path) -> None:
    said = Registration(metrics={"auc": float("nan")}, trained_by={"commit": "HEAD"}, beside_limit=0)
    with pytest.raises(InvalidRepository) as error:
        register(workspace, "fraud", [file(tmp_path, "model.onnx", b"weights")], said)
    assert len(error.value.diagnostics) == 2
    assert nothing_changed(workspace)
    assert not (workspace.root / ".mlops/registry").exists()


def test_a_pickle_is_refused_with_what_would_allow_it(workspace: Workspace, tmp_path: Path) -> None:
    path = file(tmp_path, "model.pkl", pickle.dumps(subprocess.CompletedProcess([], 0)))
    with pytest.raises(Blocked) as error:
        register(workspace, "fraud", [path])
    assert summaries(error) == ["Pickle is not allowed"]
    assert "subprocess.CompletedProcess" in error.value.diagnostics[0].detail
    assert "formats: {pickle: {classes: [subprocess.CompletedProcess]}}" in error.value.diagnostics[0].todo
    assert nothing_changed(workspace)


def test_an_allowed_pickle_is_registered(workshop: Workshop, tmp_path: Path) -> None:
    project = workshop.root / "mlops.yaml"
    allowed = "models: {formats: {pickle: {classes: [subprocess.CompletedProcess]}}}\n"
    project.write_text(project.read_text() + allowed)
    path = file(tmp_path, "model.pkl", pickle.dumps(subprocess.CompletedProcess([], 0)))
    with workshop.opened() as workspace:
        assert register(workspace, "fraud", [path]).reference == "fraud:1"
    with workshop.opened() as workspace:
        assert "fraud:1" in workspace.repository.models


def test_a_damaged_pickle_is_refused_even_where_pickles_are_allowed(workshop: Workshop, tmp_path: Path) -> None:
    project = workshop.root / "mlops.yaml"
    project.write_text(project.read_text() + "models: {formats: {joblib: {classes: [sklearn.x.Y]}}}\n")
    path = file(tmp_path, "model.joblib", b"\x80\x04 nothing that can be read")
    with workshop.opened() as workspace, pytest.raises(Blocked):
        register(workspace, "fraud", [path])


def test_a_link_in_place_of_the_models_folder_is_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (workspace.root / "models").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidRepository) as error:
        register(workspace, "fraud", [file(tmp_path, "model.onnx", b"weights")])
    assert summaries(error) == ["Symbolic link"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_a_killed_registration_left_is_swept(workspace: Workspace, tmp_path: Path) -> None:
    left = file(workspace.root, "models/fraud/.incoming-0123abcd/model.onnx", b"half").parent
    register(workspace, "fraud", [file(tmp_path, "model.onnx", b"weights")])
    assert not left.exists()
    assert {path.name for path in (workspace.root / "models/fraud").iterdir()} == {"1", "1.yaml"}


def test_an_apply_registers_what_was_declared(workshop: Workshop, tmp_path: Path) -> None:
    sources = [file(tmp_path, "model.onnx", b"weights"), file(tmp_path, "large.safetensors", b"x" * 200)]
    with workshop.opened() as workspace:
        for source in sources:
            register(workspace, "fraud", [source], Registration(beside_limit=100, tags={"team": "risk"}))
    workshop.declare("shop-front", "dev", "fraud:1")
    workshop.commit("Register")
    with workshop.opened() as workspace:
        assert [v.state for v in list_models(workspace)] == [State.DECLARED, State.DECLARED]
    workshop.apply("dev")
    with workshop.opened() as workspace:
        found = list_models(workspace, Search(tags=("team=risk",)))
        assert [(v.reference, v.state, v.ours, v.problem) for v in found] == [
            ("fraud:1", State.REGISTERED, True, ""),
            ("fraud:2", State.REGISTERED, True, ""),
        ]

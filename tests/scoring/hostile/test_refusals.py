"""The malicious files at the two doors: `mlops model register`, and the start of a real worker."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.scoring.hostile.corpus import MALICIOUS
from tests.scoring.rig import launch_worker, make_code, make_deployment

MLOPS = Path(sys.executable).parent / "mlops"
ALLOWED = ("sklearn.linear_model._logistic.LogisticRegression", "sklearn.tree._tree.Tree")
LOADS = """
import glob, os, pickle
def init():
    open("loaded", "w").close()
    for path in glob.glob(os.environ["AZUREML_MODEL_DIR"] + "/*"):
        pickle.load(open(path, "rb"))
def run(data): return 1
"""
AT_START = (
    *("os.system.pkl", "b1-numpy-builtins.pkl", "b2-spawnv.pkl", "b3-read_csv.pkl", "b4-import_module.pkl"),
    *("zlib.joblib", "protocol-0.pkl", "inst.pkl", "hidden-behind-short-type.joblib", "objects-called-numbers.pkl"),
    *("torch.pt", "tar.pt", "known-function.skops", "lie.onnx", "old-lie.txt", "old-lie", "zip-behind.onnx"),
    *(
        "tar-head.pkl",
        "tar-head.tar",
        "padding-by-arguments.joblib",
        "behind-ndarray.dat",
        "octal.dat",
        "lzma-small.dat",
    ),
    *("behind-stop-in-frame.pkl", "gzip-cut.dat", "second-array.npy", "two-directories.pt", "zip-behind-gzip.dat"),
)
"""One of each kind for a process of its own; all are scanned in test_pickles."""


def test_none_can_be_registered(tmp_path: Path) -> None:
    """Each is named, nothing is taken in, and nothing of it is run."""
    repository, folder = tmp_path / "repository", tmp_path / "files"
    subprocess.run([MLOPS, "init", "--project", "hostile", str(repository)], check=True, capture_output=True)
    project = repository / "mlops.yaml"
    formats = ", ".join(f"{name}: {{classes: [{', '.join(ALLOWED)}]}}" for name in ("joblib", "pickle"))
    project.write_text(f"{project.read_text()}models: {{formats: {{{formats}}}}}\n".replace("models: {}\n", ""))
    folder.mkdir()
    for name, content in MALICIOUS.items():
        (folder / name).write_bytes(content)
    before = sorted(path for path in repository.rglob("*") if ".git/" not in str(path))
    done = subprocess.run(
        [MLOPS, "model", "register", "evil", str(folder)], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    told = " ".join(done.stderr.split())
    assert [name for name in MALICIOUS if f"{name}: " not in told] == []
    assert sorted(path for path in repository.rglob("*") if ".git/" not in str(path)) == before
    assert not list(tmp_path.rglob("hacked"))


@pytest.mark.parametrize("name", AT_START)
def test_none_is_loaded_by_a_worker(short_path: Path, name: str) -> None:
    """Refused before the script is imported, even though the digest is the declared one."""
    code = make_code(short_path / "code", LOADS)
    model = short_path / "model"
    model.mkdir()
    (model / name).write_bytes(MALICIOUS[name])
    deployment = make_deployment(
        code,
        model_directory=str(model),
        model_files={name: hashlib.sha256(MALICIOUS[name]).hexdigest()},
        pickle_policy={"formats": ["joblib", "pickle", "skops"], "classes": list(ALLOWED)},
    )
    worker, announced = launch_worker(short_path / "w", deployment)
    assert worker.process.wait(60) == 3
    assert announced["event"] == "failed"
    assert announced["reason"].startswith(f"{name} is refused: ")
    assert not (code / "loaded").exists()
    assert not list(short_path.rglob("hacked"))


@pytest.mark.parametrize(
    ("name", "content"), [("model.joblib", MALICIOUS["zlib.joblib"]), ("model.skops", MALICIOUS["model.skops"])]
)
def test_none_is_loaded_without_a_script(short_path: Path, models_python: Path, name: str, content: bytes) -> None:
    """In an environment that has what it would need."""
    model = short_path / "model"
    model.mkdir()
    (model / name).write_bytes(content)
    deployment = make_deployment(
        python=str(models_python),
        runtime="sklearn",
        model_directory=str(model),
        pickle_policy={"formats": ["joblib", "pickle", "skops"], "classes": list(ALLOWED)},
    )
    worker, announced = launch_worker(short_path / "w", deployment)
    assert worker.process.wait(60) == 3
    assert announced["reason"].startswith(f"{name} is refused: ")
    assert not list(short_path.rglob("hacked"))


def test_a_script_that_loads_carelessly_would_have_run_it(short_path: Path) -> None:
    """The canary of the tests above sings: without a declared model the same script runs the same file."""
    code = make_code(short_path / "code", LOADS)
    model = short_path / "model"
    model.mkdir()
    (model / "f").write_bytes(MALICIOUS["os.system.pkl"])
    program = f"import os; os.environ['AZUREML_MODEL_DIR'] = {json.dumps(str(model))}; import score; score.init()"
    subprocess.run([sys.executable, "-c", program], cwd=code, check=True, capture_output=True, env=os.environ)
    assert (code / "hacked").exists()

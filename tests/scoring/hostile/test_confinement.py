"""As another user, without a way back, and writing nowhere but into its own folders."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import py_compile
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.scoring import rig

from mlops_scoring import confinement

NOBODY = 65534
SOURCE = """
import json, os, sibling
def init():
    pass
def run(data):
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    made = os.path.join(os.environ["PLACE"], "made")
    open(made, "w").close()
    try:
        os.setuid(0)
        root = "again"
    except OSError:
        root = "gone"
    return {
        "uids": status["Uid"].split(), "gids": status["Gid"].split(), "groups": status["Groups"].split(),
        "no_new_privs": status["NoNewPrivs"].strip(), "capabilities": int(status["CapEff"], 16),
        "mode": oct(os.stat(made).st_mode & 0o777), "root": root, "sibling": sibling.VALUE,
    }
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can look into; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(prefix="ms-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def unprivileged() -> str:
    """Another user where this one is root; itself where it is not."""
    return f"{NOBODY}:{NOBODY}" if os.geteuid() == 0 else f"{os.getuid()}:{os.getgid()}"


def make_worker(folder: Path, *options: str, **changes: object) -> tuple[rig.Worker, Any]:
    """A worker with options."""
    code = rig.make_code(folder / "code", SOURCE)
    (code / "sibling.py").write_text("VALUE = 1\n")
    place = folder / "place"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    deployment = rig.make_deployment(code, environment_variables={"PLACE": str(place)}, **changes)
    return rig.launch_worker(folder, deployment, *options)


def end(worker: rig.Worker) -> None:
    worker.process.terminate()
    assert worker.process.wait(60) == 0


def test_a_worker_becomes_the_user_and_stays_it(open_folder: Path) -> None:
    user = unprivileged()
    worker, announced = make_worker(open_folder, "--user", user)
    assert announced == {"event": "ready"}, worker.log()
    said = worker.ask("{}").json
    uid, _, gid = user.partition(":")
    assert said["uids"] == [uid] * 4
    assert said["gids"] == [gid] * 4
    assert said["no_new_privs"] == "1"
    assert said["root"] == "gone"
    assert said["mode"] == "0o600"
    if os.geteuid() == 0:
        assert said["groups"] == []
        assert said["capabilities"] == 0
    end(worker)


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("nobody-of-that-name", "there is no user 'nobody-of-that-name'"),
        ("4294967295", "4294967295 is not the number of a user or group"),
        ("123456", "the system does not know the user 123456: say the group too, 123456:GID"),
        ("0:no-such-group", "there is no group 'no-such-group'"),
    ],
)
def test_a_user_that_cannot_be_is_a_failed_start(short_path: Path, user: str, reason: str) -> None:
    worker, announced = make_worker(short_path, "--user", user)
    assert announced == {"event": "failed", "reason": reason}
    assert worker.process.wait(60) == 3


def snapshot(*folders: Path) -> dict[str, tuple[int, int]]:
    """Files by path, with size and time of change."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(status.st_mode):
                found[str(path)] = (status.st_size, status.st_mtime_ns)
    return found


@pytest.mark.parametrize(
    ("runtime", "name", "classes"),
    [
        ("onnx", "onnx", ()),
        ("sklearn", "logistic", ("sklearn.linear_model._logistic.LogisticRegression",)),
        ("mlflow", "mlflow", ()),
        ("script", None, ()),
    ],
)
def test_serving_writes_nowhere(
    open_folder: Path, models: Path, models_python: Path, runtime: str, name: str | None, classes: tuple[str, ...]
) -> None:
    """Model and code cannot be written, and HOME, the working directory and the temporary folder stay as they were."""
    home, temporary = open_folder / "home", open_folder / "tmp"
    for folder in (home, temporary):
        folder.mkdir()
        folder.chmod(0o777)
    place = {"HOME": str(home), "TMPDIR": str(temporary), "PLACE": str(open_folder)}
    model = open_folder / "model"
    if name is None:
        code = rig.make_code(open_folder / "code", "import sibling\ndef init(): pass\ndef run(data): return [0]\n")
        (code / "sibling.py").write_text("VALUE = 1\n")
        deployment = rig.make_deployment(code, environment_variables=place)
    else:
        shutil.copytree(models / name, model)
        files = {
            str(path.relative_to(model)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in model.rglob("*")
            if path.is_file()
        }
        policy = {"formats": ["joblib"], "classes": list(classes)}
        deployment = rig.make_deployment(
            python=str(models_python),
            runtime=runtime,
            model_directory=str(model),
            model_files=files,
            pickle_policy=policy,
            environment_variables=place,
        )
    before = snapshot(open_folder)
    worker, announced = rig.launch_worker(open_folder / "run", deployment)
    assert announced == {"event": "ready"}, worker.log()
    width = 3 if runtime == "mlflow" else 4
    assert worker.ask(json.dumps({"data": [[0.5] * width]})).status == 200
    assert worker.ask("no JSON").status in {200, 400}
    end(worker)
    after = {path: mark for path, mark in snapshot(open_folder).items() if not path.startswith(f"{open_folder}/run/")}
    assert after == before


def test_compiled_files_beside_the_sources_are_not_run(short_path: Path) -> None:
    """Whoever can put a file into `__pycache__` cannot put code into the model."""
    source = short_path / "code" / "score.py"
    rig.make_code(short_path / "code", "def init(): pass\ndef run(data): return 'sources'\n")
    evil = short_path / "evil.py"
    evil.write_text("def init(): pass\ndef run(data): return 'planted'\n")
    cached = importlib.util.cache_from_source(str(source))
    py_compile.compile(str(evil), cached, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    worker, announced = rig.launch_worker(short_path / "w", rig.make_deployment(short_path / "code"))
    assert announced == {"event": "ready"}
    assert worker.ask("x").json == "sources"
    end(worker)


def test_an_image_does_not_serve_as_root_unless_that_is_said(tmp_path: Path) -> None:
    configuration = tmp_path / "worker.json"
    deployment = rig.make_deployment(rig.make_code(tmp_path / "code"))
    configuration.write_text(json.dumps({"format": 1, "live_name": "a", "deployment": deployment}))
    if os.geteuid() != 0:
        confinement.refuse_root({})
        return
    with pytest.raises(confinement.CannotConfine):
        confinement.refuse_root({"MLOPS_ALLOW_ROOT": "0"})
    confinement.refuse_root({"MLOPS_ALLOW_ROOT": "1"})
    command = [sys.executable, "-P", "-m", "mlops_scoring.server", "--configuration", str(configuration)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "this would run as root" in done.stderr


def test_a_servers_workers_have_no_way_to_more_rights(open_folder: Path) -> None:
    """Even root is served, where it is asked for by name; an interpreter that others may not read is too common."""
    user = f"{os.getuid()}:{os.getgid()}"
    configuration = open_folder / "worker.json"
    source = "def init(): pass\ndef run(data): return [line for line in open('/proc/self/status') if 'Priv' in line]\n"
    code = rig.make_code(open_folder / "code", source)
    document = {"format": 1, "live_name": "a", "deployment": rig.make_deployment(code)}
    configuration.write_text(json.dumps(document))
    port = rig.free_port()
    command = [sys.executable, "-P", "-m", "mlops_scoring.server", "--configuration", str(configuration)]
    options = ["--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{rig.free_port()}", "--user", user]
    with (open_folder / "output").open("wb") as output:
        process = subprocess.Popen([*command, *options, "--workers", "1"], stdout=output, stderr=output)

    def answers() -> bool:
        assert process.poll() is None, (open_folder / "output").read_text()
        try:
            return rig.ask(port, body="{}").status == 200
        except OSError:
            return False

    try:
        rig.await_truth(answers, "the server answers")
        assert rig.ask(port, body="{}").json == ["NoNewPrivs:\t1\n"]
    finally:
        process.terminate()
        process.wait(60)

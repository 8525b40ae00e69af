"""Virtual environments by digest, with the real uv."""

from __future__ import annotations

import hashlib
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mlops.drivers.local.environments import GATEWAY_LOCK, Environment, ensure_environment, ensure_supervisor
from mlops.drivers.local.folders import Folders
from mlops.errors import TargetError


def environment(lock: Path) -> Environment:
    return Environment("tiny:1", lock, hashlib.sha256(lock.read_bytes()).hexdigest(), None)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path, "here")


def test_it_holds_the_locked_packages_and_the_scoring_server(folders: Folders) -> None:
    python = ensure_environment(folders, environment(GATEWAY_LOCK))
    program = "import httptools, mlops_scoring, importlib.metadata as m; print(m.version('mlops-scoring'))"
    ran = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip()


def test_it_is_made_once(folders: Folders) -> None:
    first = ensure_environment(folders, environment(GATEWAY_LOCK))
    made = first.lstat()
    assert ensure_environment(folders, environment(GATEWAY_LOCK)) == first
    assert first.lstat().st_ino == made.st_ino


def test_the_supervisors_own_is_apart(folders: Folders) -> None:
    assert ensure_supervisor(folders) != ensure_environment(folders, environment(GATEWAY_LOCK))


def test_another_lock_is_another_environment(folders: Folders, tmp_path: Path) -> None:
    other = tmp_path / "other.lock"
    other.write_text("# nothing\n")
    assert ensure_environment(folders, environment(other)) != ensure_environment(folders, environment(GATEWAY_LOCK))


def test_a_package_with_another_hash_is_not_installed(folders: Folders, tmp_path: Path) -> None:
    tampered = tmp_path / "tampered.lock"
    tampered.write_text(re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, GATEWAY_LOCK.read_text()))
    with pytest.raises(TargetError, match="uv failed"):
        ensure_environment(folders, environment(tampered))
    assert not list(folders.environments.glob("*/.complete"))
    assert not [path for path in folders.environments.glob("[0-9a-f]*") if path.is_dir()]


def test_a_package_without_a_hash_is_not_installed(folders: Folders, tmp_path: Path) -> None:
    unhashed = tmp_path / "unhashed.lock"
    pins = [line.removesuffix("\\") for line in GATEWAY_LOCK.read_text().splitlines() if "==" in line]
    unhashed.write_text("\n".join(pins))
    with pytest.raises(TargetError, match="uv failed"):
        ensure_environment(folders, environment(unhashed))


def test_what_a_killed_build_left_is_made_anew(folders: Folders) -> None:
    home = ensure_environment(folders, environment(GATEWAY_LOCK)).parent.parent
    (home / ".complete").unlink()
    (home / "lib").rename(home / "half")
    assert ensure_environment(folders, environment(GATEWAY_LOCK)).exists()
    assert not (home / "half").exists()
    assert (home / ".complete").exists()


def test_an_interpreter_that_is_gone_is_noticed(folders: Folders) -> None:
    python = ensure_environment(folders, environment(GATEWAY_LOCK))
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert ensure_environment(folders, environment(GATEWAY_LOCK)).exists()


def test_a_python_that_cannot_be_had_is_said(folders: Folders) -> None:
    with pytest.raises(TargetError, match=r"virtual environment of tiny:1[\s\S]*3\.99"):
        ensure_environment(folders, replace(environment(GATEWAY_LOCK), python="3.99"))

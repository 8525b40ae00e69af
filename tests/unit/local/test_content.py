"""Model files and code, laid out for workers."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from mlops import archive
from mlops.drivers.local.content import ensure_code, ensure_model, files_digest
from mlops.drivers.local.folders import Folders
from mlops.drivers.local.prepare import take_in
from mlops.drivers.registry.blobs import FileBlobs
from mlops.errors import TargetError
from mlops.resource import Artifact


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path, "here")


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / ".mlops" / "registry")


def add(blobs: FileBlobs, tmp_path: Path, content: bytes) -> str:
    source = tmp_path / "source"
    source.write_bytes(content)
    blobs.add(source, sha256(content))
    return sha256(content)


def test_several_files_have_the_digest_that_sha256sum_gives(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"2")
    (tmp_path / "a").write_bytes(b"1")
    listed = subprocess.run(["sha256sum", "a", "b"], cwd=tmp_path, capture_output=True, check=True).stdout
    lines = b"".join(sorted(listed.splitlines(keepends=True)))
    assert files_digest({"a": sha256(b"1"), "b": sha256(b"2")}) == sha256(lines)


def test_model_files_are_laid_out_read_only(folders: Folders, blobs: FileBlobs, tmp_path: Path) -> None:
    files = {"model.onnx": add(blobs, tmp_path, b"1"), "data/labels.txt": add(blobs, tmp_path, b"2")}
    home = ensure_model(folders, blobs, files)
    assert (home / "data" / "labels.txt").read_bytes() == b"2"
    assert (home / "model.onnx").stat().st_mode & 0o777 == 0o444
    assert ensure_model(folders, blobs, files) == home


def test_large_files_do_not_fill_the_disk_twice(folders: Folders, blobs: FileBlobs, tmp_path: Path) -> None:
    """On a file system that can clone, blocks are shared; elsewhere the file is linked."""
    digest = add(blobs, tmp_path, bytes(65 << 20))
    home = ensure_model(folders, blobs, {"model.bin": digest})
    before, after = blobs.path(digest).stat(), (home / "model.bin").stat()
    assert after.st_size == before.st_size
    assert after.st_ino == before.st_ino or after.st_nlink == 1


def test_a_file_that_somebody_took_away_is_put_back(folders: Folders, blobs: FileBlobs, tmp_path: Path) -> None:
    files = {"model.onnx": add(blobs, tmp_path, b"1")}
    home = ensure_model(folders, blobs, files)
    (home / "model.onnx").unlink()
    ensure_model(folders, blobs, files)
    assert (home / "model.onnx").read_bytes() == b"1"


def test_a_damaged_blob_is_never_laid_out(folders: Folders, blobs: FileBlobs, tmp_path: Path) -> None:
    digest = add(blobs, tmp_path, b"content")
    path = blobs.path(digest)
    path.chmod(0o600)
    path.write_bytes(b"c0ntent")
    with pytest.raises(TargetError):
        ensure_model(folders, blobs, {"model.onnx": digest})
    assert [entry.name for entry in folders.models.iterdir() if not entry.name.endswith(".lock")] == []


@pytest.mark.parametrize("path", ["../out", "/absolute", "a/../../out"])
def test_a_name_that_leaves_the_folder_is_refused(
    folders: Folders, blobs: FileBlobs, tmp_path: Path, path: str
) -> None:
    with pytest.raises(TargetError, match="Not a relative path"):
        ensure_model(folders, blobs, {path: add(blobs, tmp_path, b"1")})


def test_code_that_somebody_edited_is_made_again(folders: Folders, blobs: FileBlobs, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "score.py").write_text("def init(): ...\n")
    digest = archive.digest_directory(code)
    blobs.add(code, digest)
    home = ensure_code(folders, blobs, digest)
    (home / "score.py").write_text("import os\n")
    (home / "__pycache__").mkdir()
    assert ensure_code(folders, blobs, digest) == home
    assert (home / "score.py").read_text() == "def init(): ...\n"
    (home / "__pycache__").mkdir()
    assert (ensure_code(folders, blobs, digest) / "__pycache__").is_dir(), "bytecode is no edit"


def test_what_is_missing_is_taken_in_from_the_work_tree(blobs: FileBlobs, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"1")
    artifacts = [Artifact(sha256(b"1"), "model.onnx"), Artifact(sha256(b"2"), "not-wanted.onnx")]
    take_in(blobs, tmp_path, artifacts, {sha256(b"1")})
    assert blobs.has(sha256(b"1"))
    (tmp_path / "model.onnx").unlink()
    take_in(blobs, tmp_path, artifacts, {sha256(b"1")})


def test_a_file_that_changed_since_the_plan_is_refused(blobs: FileBlobs, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"another")
    with pytest.raises(TargetError):
        take_in(blobs, tmp_path, [Artifact(sha256(b"1"), "model.onnx")], {sha256(b"1")})
    assert not blobs.has(sha256(b"1"))


def test_planning_loads_no_heavy_module() -> None:
    """What `mlops plan` imports to observe: no pydantic, no HTTP client, no packer."""
    program = (
        "import sys; from pathlib import Path\n"
        "from mlops.driver import Scope; from mlops.drivers.local import DRIVER\n"
        "list(DRIVER(Scope('p', 's', 'c', Path('/nowhere'))).observe())\n"
        "heavy = {'pydantic', 'http.client', 'asyncio', 'zipfile', 'tarfile', 'uv'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")

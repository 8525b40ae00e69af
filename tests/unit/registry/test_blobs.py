"""Content by digest: complete or absent, never half there, and never believed without having been read."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from mlops.archive import digest_directory
from mlops.drivers.registry import FileBlobs
from mlops.errors import TargetError


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file(folder: Path, content: bytes, name: str = "source.bin") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def summary(error: pytest.ExceptionInfo[TargetError]) -> str:
    return error.value.diagnostics[0].summary


def age(path: Path) -> None:
    """Wait until a file's times are old enough to be believed: there is no event for time."""
    while time.time() - path.stat().st_ctime < 2.1:
        time.sleep(0.1)


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "registry")


@pytest.mark.parametrize("content", [b"", b"x", b"weights" * 300_000], ids=["empty", "one byte", "2 MB"])
def test_what_was_added_is_there(blobs: FileBlobs, tmp_path: Path, content: bytes) -> None:
    sha256 = sha256_of(content)
    assert not blobs.has(sha256)
    blobs.add(file(tmp_path, content), sha256)
    assert blobs.has(sha256)
    assert blobs.path(sha256).read_bytes() == content
    assert blobs.path(sha256).stat().st_mode & 0o777 == 0o444
    assert blobs.present() == {sha256}


def test_adding_again_does_not_touch_it(blobs: FileBlobs, tmp_path: Path) -> None:
    sha256 = sha256_of(b"weights")
    source = file(tmp_path, b"weights")
    blobs.add(source, sha256)
    before = blobs.path(sha256).stat()
    source.unlink()
    blobs.add(source, sha256)
    assert blobs.path(sha256).stat() == before


def test_other_content_is_refused_and_leaves_nothing(blobs: FileBlobs, tmp_path: Path) -> None:
    with pytest.raises(TargetError) as error:
        blobs.add(file(tmp_path, b"other"), sha256_of(b"weights"))
    assert summary(error) == "File differs from its digest"
    assert not any(path.is_file() for path in (tmp_path / "registry").rglob("*"))


def test_a_directory_becomes_its_deterministic_archive(blobs: FileBlobs, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    file(code, b"def init(): ...\n", "score.py")
    sha256 = digest_directory(code)
    blobs.add(code, sha256)
    assert hashlib.sha256(blobs.path(sha256).read_bytes()).hexdigest() == sha256


def test_links_and_pipes_are_no_sources(blobs: FileBlobs, tmp_path: Path) -> None:
    target = file(tmp_path, b"weights")
    (tmp_path / "link").symlink_to(target)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "absent"):
        with pytest.raises(TargetError) as error:
            blobs.add(tmp_path / name, sha256_of(b"weights"))
        assert summary(error) == "Registry cannot reach a file"
    assert blobs.present() == frozenset()


@pytest.mark.parametrize("name", ["", "..", "a" * 63, "A" * 64, "../" + "a" * 61, "a" * 64 + "\n"])
def test_what_is_no_digest_is_nowhere(blobs: FileBlobs, name: str) -> None:
    assert not blobs.has(name)
    with pytest.raises(TargetError) as error:
        blobs.path(name)
    assert summary(error) == "Content is not in the registry"


def test_a_flipped_bit_is_detected(blobs: FileBlobs, tmp_path: Path) -> None:
    sha256 = sha256_of(b"weights")
    blobs.add(file(tmp_path, b"weights"), sha256)
    path = blobs.path(sha256)
    age(path)
    assert blobs.path(sha256) == path  # hashed and remembered as good
    assert (tmp_path / "registry/verified" / sha256).is_file()
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.chmod(0o644)
    path.write_bytes(b"weighus")
    os.utime(path, ns=times)
    path.chmod(0o444)
    for each in (blobs, FileBlobs(tmp_path / "registry")):
        with pytest.raises(TargetError) as error:
            each.path(sha256)
        assert summary(error) == "Content is damaged"
        assert "--rebuild" in error.value.diagnostics[0].command


def test_what_was_hashed_once_is_not_read_again(blobs: FileBlobs, tmp_path: Path) -> None:
    content = os.urandom(1 << 20)
    sha256 = sha256_of(content)
    blobs.add(file(tmp_path, content), sha256)
    path = blobs.file(sha256)
    age(path)
    blobs.path(sha256)
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    blobs.path(sha256)
    assert str(path) not in opened
    blobs.verify(sha256)
    assert str(path) in opened


def test_a_fresh_file_is_not_remembered_as_good(blobs: FileBlobs, tmp_path: Path) -> None:
    """A file that changed a moment ago can change again without its times showing it."""
    fresh = False
    while not fresh:  # where this machine was stopped meanwhile
        content = os.urandom(8)
        sha256 = sha256_of(content)
        blobs.add(file(tmp_path, content), sha256)
        blobs.path(sha256)
        fresh = time.time() - blobs.file(sha256).stat().st_ctime < 2.0
    assert not (tmp_path / "registry/verified" / sha256).exists()


def test_memory_stays_flat(blobs: FileBlobs, tmp_path: Path) -> None:
    source = tmp_path / "large.bin"
    with source.open("wb") as stream:
        stream.truncate(64 << 20)
    sha256 = hashlib.sha256(bytes(64 << 20)).hexdigest()
    tracemalloc.start()
    blobs.add(source, sha256)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_many_are_added_in_batches(blobs: FileBlobs, tmp_path: Path) -> None:
    sources = [file(tmp_path, b"%d" % number, f"{number}.bin") for number in range(600)]
    digests = blobs.take(sources)
    assert digests == [sha256_of(b"%d" % number) for number in range(600)]
    assert blobs.present() == frozenset(digests)
    assert list((tmp_path / "registry/incoming").iterdir()) == []


_SLOW_WRITER = """
import os, sys
from pathlib import Path
from mlops.drivers.registry import FileBlobs
blobs = FileBlobs(Path(sys.argv[1]))
blobs.add(Path(sys.argv[2]), "0" * 64)
"""


def _start_writer(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A process that has begun to add a file far too large to be done soon, and is held up so that no disk is full."""
    source = tmp_path / "huge.bin"
    with source.open("wb") as stream:
        stream.truncate(1 << 42)
    command = [sys.executable, "-c", _SLOW_WRITER, str(tmp_path / "registry"), str(source)]
    writer = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not _growing(tmp_path / "registry/incoming"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    writer.send_signal(signal.SIGSTOP)
    return writer


def _growing(incoming: Path) -> list[Path]:
    return [path for path in incoming.glob("*") if path.stat().st_size]


def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    writer = _start_writer(tmp_path)
    try:
        sha256 = sha256_of(b"weights")
        FileBlobs(tmp_path / "registry").add(file(tmp_path, b"weights"), sha256)
        assert len(_growing(tmp_path / "registry/incoming")) == 1
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    again = FileBlobs(tmp_path / "registry")
    assert again.present() == {sha256}
    again.add(file(tmp_path, b"more", "more.bin"), sha256_of(b"more"))
    assert list((tmp_path / "registry/incoming").iterdir()) == []


def test_damaged_content_can_be_set_aside_and_added_again(blobs: FileBlobs, tmp_path: Path) -> None:
    sha256 = sha256_of(b"weights")
    source = file(tmp_path, b"weights")
    blobs.add(source, sha256)
    blobs.file(sha256).chmod(0o644)
    blobs.file(sha256).write_bytes(b"damage")
    kept = blobs.set_aside(sha256)
    assert kept.read_bytes() == b"damage"
    blobs.add(source, sha256)
    assert blobs.path(sha256).read_bytes() == b"weights"


def test_nothing_is_made_before_it_is_needed(blobs: FileBlobs, tmp_path: Path) -> None:
    assert not blobs.has("0" * 64)
    assert blobs.present() == frozenset()
    assert blobs.sweep() == 0
    assert not (tmp_path / "registry").exists()


def test_a_relative_root_is_as_good(blobs: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = FileBlobs(Path("registry"))
    sha256 = sha256_of(b"weights")
    relative.add(file(tmp_path, b"weights"), sha256)
    assert blobs.path(sha256).read_bytes() == b"weights"

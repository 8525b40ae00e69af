"""Digests of files and folders, and when they are read again."""

from __future__ import annotations

import hashlib
import os
import resource
import time
from pathlib import Path

import pytest
from tests.scoring.file_times import await_tick

from mlops.archive import digest_directory
from mlops.loader.cache import Cache
from mlops.loader.digests import Digests
from mlops.resolve import DirectoryContent, FileContent, Unusable

HOUR = 3600 * 10**9
FAKE = "f" * 64


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make(root: Path, name: str, content: bytes = b"content") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def later(root: Path, cache: Cache | None = None) -> Digests:
    """Digests as an hour later, when nothing that is there now is new any more."""
    return Digests(root, cache or Cache(None), clock=lambda: time.time_ns() + HOUR)


def remembered(root: Path, name: str) -> Cache:
    """A cache that holds a digest of a file which only a reader of the cache can give."""
    first = Cache.open(root)
    later(root, first).content(name)
    first.save()
    second = Cache.open(root)
    row = second.file(name)
    assert row is not None
    second.keep_file(name, row._replace(sha256=FAKE))
    second.save()
    return Cache.open(root)


def test_a_file(tmp_path: Path) -> None:
    make(tmp_path, "a/b.bin", b"hello")
    assert Digests(tmp_path, Cache(None)).content("a/b.bin") == FileContent(sha(b"hello"), 5)


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    make(tmp_path, "a")
    assert Digests(tmp_path, remembered(tmp_path, "a")).content("a") == FileContent(FAKE, 7)


def test_a_file_of_which_any_status_changed_is_read_again(tmp_path: Path) -> None:
    path = make(tmp_path, "a")
    for change in (
        lambda: os.utime(path, ns=(1, 1)),
        lambda: path.chmod(0o600),
        lambda: path.write_bytes(b"CONTENT"),
        lambda: (make(tmp_path, "b"), (tmp_path / "b").replace(path)),
    ):
        cache = remembered(tmp_path, "a")
        await_tick(path, path.parent.parent / "probe")
        change()
        assert Digests(tmp_path, cache).content("a") == FileContent(sha(path.read_bytes()), 7)


def test_a_file_that_changed_about_when_it_was_read_is_not_kept(tmp_path: Path) -> None:
    make(tmp_path, "a")
    cache = Cache.open(tmp_path)
    Digests(tmp_path, cache, clock=lambda: (tmp_path / "a").lstat().st_ctime_ns + 1).content("a")
    Digests(tmp_path, cache, clock=lambda: 0).content("a")  # a clock that was set back
    cache.save()
    assert Cache.open(tmp_path).file("a") is None


def test_a_large_file_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(300 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    content = Digests(tmp_path, Cache(None)).content("large")
    assert isinstance(content, FileContent)
    assert content.size == 300 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10  # KiB


def test_a_folder_is_its_files_and_its_tar(tmp_path: Path) -> None:
    make(tmp_path, "code/score.py", b"a")
    make(tmp_path, "code/inner/x.txt", b"b")
    make(tmp_path, "code/__pycache__/score.pyc", b"c")
    expected = {"inner/x.txt": FileContent(sha(b"b"), 1), "score.py": FileContent(sha(b"a"), 1)}
    found = Digests(tmp_path, Cache(None)).content("code")
    assert found == DirectoryContent(expected, None)
    found = Digests(tmp_path, Cache(None)).content("code", archive=True)
    assert found == DirectoryContent(expected, digest_directory(tmp_path / "code"))


def test_the_digest_of_a_tar_follows_content_names_and_modes(tmp_path: Path) -> None:
    cache = Cache.open(tmp_path)
    script = make(tmp_path, "code/score.py", b"a")
    for change in (
        lambda: None,
        lambda: script.write_bytes(b"b"),
        lambda: script.chmod(0o755),
        lambda: make(tmp_path, "code/other.py", b""),
        lambda: script.rename(tmp_path / "code/renamed.py"),
    ):
        await_tick(script, script.parent.parent / "probe")
        change()
        found = later(tmp_path, cache).content("code", archive=True)
        assert isinstance(found, DirectoryContent)
        assert found.archive == digest_directory(tmp_path / "code")
        cache.save()
        cache = Cache.open(tmp_path)


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        ("missing", "File not found"),
        ("file/below", "File not found"),
        ("link", "Symbolic link"),
        ("linked/file", "Symbolic link"),
        ("folder", "Not a regular file"),
        ("pipe", "Not a regular file"),
        ("pointer", "Git LFS pointer"),
        ("pointers", "Git LFS pointer"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, name: str, summary: str) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    make(tmp_path, "file")
    make(tmp_path, "real/file")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "linked").symlink_to("real")
    make(tmp_path, "folder/a")
    (tmp_path / "folder/b").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    make(tmp_path, "pointer", pointer)
    make(tmp_path, "pointers/model.onnx", pointer)
    content = Digests(tmp_path, Cache(None)).content(name)
    assert isinstance(content, Unusable)
    assert content.summary == summary
    assert str(tmp_path) not in content.detail
    assert content.todo


def test_a_git_lfs_pointer_is_never_kept(tmp_path: Path) -> None:
    make(tmp_path, "a", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    cache = Cache.open(tmp_path)
    assert isinstance(later(tmp_path, cache).content("a"), Unusable)
    cache.save()
    assert isinstance(later(tmp_path, Cache.open(tmp_path)).content("a"), Unusable)

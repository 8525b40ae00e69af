"""Directories as deterministic archives."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from mlops import archive
from mlops.errors import InvalidRepository, TargetError


def tree(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def tar(path: Path, *infos: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as output:
        for info, content in infos:
            info.size = len(content) if info.isreg() else 0
            output.addfile(info, io.BytesIO(content))
    return path


def test_digest_of_a_known_tree_never_changes(tmp_path: Path) -> None:
    """The number is part of every plan and ledger: it must not move with Python, platform or clock."""
    root = tree(tmp_path, {"score.py": b"def run(data): ...\n", "lib/\u00fcber.py": b"", "z" * 120 + ".txt": b"long"})
    (root / "score.py").chmod(0o700)
    assert archive.digest_directory(root) == "89a21e9ae3a48dda4dba46c3445e56824d03d8225f8d4a7c2f72d53970876657"


def test_pack_write_and_digest_agree(tmp_path: Path) -> None:
    root = tree(tmp_path / "code", {"a.py": b"x" * 3000, "b/c.py": b"y" * 512, "b/empty": b""})
    packed = archive.pack(root)
    with (tmp_path / "out.tar").open("wb") as stream:
        written = archive.write(root, stream)
    assert (tmp_path / "out.tar").read_bytes() == packed
    assert hashlib.sha256(packed).hexdigest() == written == archive.digest_directory(root)


def test_times_owners_and_order_of_creation_do_not_count(tmp_path: Path) -> None:
    first = tree(tmp_path / "first", {"a": b"1", "b": b"2"})
    second = tree(tmp_path / "second", {"b": b"2", "a": b"1"})
    os.utime(second / "a", (1, 1))
    (second / "b").chmod(0o640)
    (second / "nothing").mkdir()
    assert archive.digest_directory(first) == archive.digest_directory(second)


@pytest.mark.parametrize("change", ["content", "name", "executable"])
def test_content_name_and_executable_bit_count(tmp_path: Path, change: str) -> None:
    root = tree(tmp_path, {"a": b"1"})
    before = archive.digest_directory(root)
    match change:
        case "content":
            (root / "a").write_bytes(b"2")
        case "name":
            (root / "a").rename(root / "b")
        case _:
            (root / "a").chmod(0o755)
    assert archive.digest_directory(root) != before


def test_version_control_and_bytecode_are_left_out(tmp_path: Path) -> None:
    root = tree(tmp_path, {"a": b"1"})
    before = archive.digest_directory(root)
    tree(root, {".git/config": b"", "__pycache__/a.pyc": b"", "lib/.mlops/x": b"", "stray.pyc": b""})
    assert archive.digest_directory(root) == before
    assert [member.path for member in archive.members(root)] == ["a"]


def test_round_trip_keeps_content_and_executable_bit(tmp_path: Path) -> None:
    root = tree(tmp_path / "code", {"run.sh": b"#!/bin/sh\n", "deep/er/\u00e4.txt": b"text", "z" * 200: b"long"})
    (root / "run.sh").chmod(0o755)
    packed = tmp_path / "code.tar"
    packed.write_bytes(archive.pack(root))
    archive.unpack(packed, tmp_path / "out")
    assert archive.digest_directory(tmp_path / "out") == archive.digest_directory(root)


def test_the_system_tar_reads_it(tmp_path: Path) -> None:
    root = tree(tmp_path / "code", {"a": b"1", "lib/\u00fc": b"2"})
    (tmp_path / "code.tar").write_bytes(archive.pack(root))
    listed = subprocess.run(["tar", "-xvf", tmp_path / "code.tar", "-C", tmp_path], check=True, capture_output=True)
    assert (tmp_path / "lib" / "\u00fc").read_bytes() == b"2"
    assert not listed.stderr


def test_every_link_device_and_odd_name_is_named_at_once(tmp_path: Path) -> None:
    root = tree(tmp_path, {"a": b"1"})
    (root / "link").symlink_to("a")
    (root / "folder").symlink_to("/")
    os.mkfifo(root / "fifo")
    (root / os.fsdecode(b"\xff")).write_bytes(b"")
    with pytest.raises(InvalidRepository) as raised:
        archive.digest_directory(root)
    problems = {(Path(str(d.where)).name, d.summary) for d in raised.value.diagnostics}
    assert problems == {
        ("link", "Not a regular file"),
        ("folder", "Not a regular file"),
        ("fifo", "Not a regular file"),
        ("\\xff", "File name is not UTF-8"),
    }


def test_a_missing_folder_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidRepository, match="Folder cannot be read"):
        archive.digest_directory(tmp_path / "absent")


def _link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("link")
    info.type = kind
    info.linkname = "/etc/passwd"
    return info


@pytest.mark.parametrize(
    "infos",
    [
        [tarfile.TarInfo("../out")],
        [tarfile.TarInfo("/tmp/absolute")],  # noqa: S108 - a name within an archive that must be refused
        [tarfile.TarInfo("a/../../out")],
        [tarfile.TarInfo("./a")],
        [tarfile.TarInfo("a\\b")],
        [tarfile.TarInfo("a"), tarfile.TarInfo("a")],
        [tarfile.TarInfo("a"), tarfile.TarInfo("a/b")],
        [_link(tarfile.SYMTYPE)],
        [_link(tarfile.LNKTYPE)],
        [_link(tarfile.CHRTYPE)],
        [_link(tarfile.FIFOTYPE)],
        [_link(tarfile.DIRTYPE)],
    ],
    ids=lambda infos: f"{infos[-1].name}-{infos[-1].type.decode()}-{len(infos)}",
)
def test_hostile_archives_are_refused(tmp_path: Path, infos: list[tarfile.TarInfo]) -> None:
    hostile = tar(tmp_path / "hostile.tar", *((info, b"x") for info in infos))
    (tmp_path / "in").mkdir()
    with pytest.raises(TargetError, match="Archive refused"):
        archive.unpack(hostile, tmp_path / "in" / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hostile.tar", "in"]


@pytest.mark.parametrize("keep", [0, 100, 700, 1500])
def test_a_truncated_archive_is_refused(tmp_path: Path, keep: int) -> None:
    root = tree(tmp_path / "code", {"a": b"1" * 2000, "b": b"2" * 2000})
    (tmp_path / "cut.tar").write_bytes(archive.pack(root)[:keep])
    with pytest.raises(TargetError, match="Archive refused"):
        archive.unpack(tmp_path / "cut.tar", tmp_path / "out")


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    root = tree(tmp_path / "code", {"a": b"1"})
    (tmp_path / "code.tar").write_bytes(archive.pack(root))
    with pytest.raises(TargetError, match="not empty"):
        archive.unpack(tmp_path / "code.tar", root)

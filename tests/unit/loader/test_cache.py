"""The cache: believed when it is ours and nothing changed, worthless otherwise, and never in the way."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import BaseModel

from mlops.loader import cache as module
from mlops.loader import load, read
from mlops.loader.cache import CACHE_FILE, Cache, FileRow
from mlops.resolve import ComputeType

Write = Callable[[Mapping[str, str | bytes | None]], Path]


def settle(root: Path) -> None:
    """Date every file back, so that its times are surely older than any clock grain."""
    past = time.time() - 60
    for path in [*root.rglob("*"), root]:
        if CACHE_FILE not in str(path):
            os.utime(path, (past, past))
    deadline = time.monotonic() + 10
    while time.time_ns() - max(os.lstat(p).st_ctime_ns for p in root.rglob("*")) < 60_000_000:
        assert time.monotonic() < deadline


def warm(root: Path) -> None:
    settle(root)
    load(root)


def rows(root: Path, table: str) -> set[str]:
    with closing(sqlite3.connect(root / CACHE_FILE)) as connection:
        return {row[0] for row in connection.execute(f"SELECT * FROM {table}")}  # noqa: S608 - our own names


class Options(BaseModel):
    """A compute without options."""


LOAD_AND_RESOLVE = """
import sys
from pathlib import Path
from mlops.loader import load
from mlops.resolve import ComputeType, resolve
types = {"memory": ComputeType(None, {}, "weighted", "1")}
resolve(load(Path(sys.argv[1]), compute_types=types), "dev", types)
print("\\n".join(sys.modules))
"""

COUNT_MODELS = """
import sys
from pathlib import Path
from mlops.loader import load
print(len(load(Path(sys.argv[1])).models))
"""


def imported(root: Path) -> set[str]:
    """Names of all modules that loading and resolving need, in a process of its own."""
    command = [sys.executable, "-c", LOAD_AND_RESOLVE, str(root)]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


HEAVY = {"pydantic", "ruamel.yaml", "_ruamel_yaml", "packaging", "tarfile", "importlib.metadata", "mlops.lockfile"}


def test_a_warm_cache_needs_neither_yaml_nor_schemas(write: Write) -> None:
    root = write({"endpoints/fraud/code/score.py": "", "endpoints/fraud/endpoint.yaml": WITH_CODE})
    settle(root)
    load(root, compute_types={"memory": ComputeType(lambda: Options, {}, "weighted", "1")})
    assert not imported(root) & HEAVY


WITH_CODE = (
    "deployments:\n  blue:\n    environment: onnx:1\n    code_configuration: {code: code, scoring_script: score.py}\n"
)


def test_what_is_warm_is_what_is_cold(write: Write) -> None:
    root = write({})
    cold = load(root, cache=False)
    warm(root)
    again = load(root)
    for name in ("project", "models", "environments", "endpoints", "tombstones", "content", "values", "packages"):
        assert getattr(again, name) == getattr(cold, name), name


def test_without_the_cache_nothing_is_written(write: Write) -> None:
    root = write({})
    load(root, cache=False)
    assert not (root / ".mlops").exists()


def test_an_edit_is_seen_even_if_size_and_times_stay(write: Write) -> None:
    """Only ctime tells; it cannot be set back."""
    root = write({})
    warm(root)
    path = root / "endpoints/fraud/dev.yaml"
    before = path.stat()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("laptop", "tower "), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert load(root).endpoints["fraud"].stages["dev"].data["compute"] == "tower"


def test_a_file_that_was_just_written_is_not_believed(write: Write) -> None:
    """A change within the clock's grain would not show in the status, so such a file has no row."""
    root = write({})
    past = time.time_ns() - 3600 * 10**9
    for path in root.rglob("*.yaml"):
        os.utime(path, ns=(past, past))
    future = time.time_ns() + 3600 * 10**9
    os.utime(root / "models/fraud/1.yaml", ns=(future, future))
    load(root)
    assert "models/fraud/1.yaml" not in rows(root, "files")


def test_documents_are_found_by_content_after_a_fresh_checkout(write: Write) -> None:
    root = write({})
    warm(root)
    before = rows(root, "documents")
    for path in root.rglob("*.yaml"):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    load(root)
    assert rows(root, "documents") == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a database, but long enough to look like one" * 100),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(path.read_bytes()[:100] + b"\xff" * 8000 + path.read_bytes()[8100:]),
    ],
)
def test_a_damaged_cache_is_an_empty_one(write: Write, damage: Callable[[Path], object]) -> None:
    root = write({})
    warm(root)
    expected = load(root, cache=False)
    damage(root / CACHE_FILE)
    assert load(root).endpoints == expected.endpoints
    assert load(root).endpoints == expected.endpoints
    assert rows(root, "documents")


def test_a_flipped_bit_in_a_row_is_noticed(write: Write) -> None:
    root = write({})
    warm(root)
    with closing(sqlite3.connect(root / CACHE_FILE)) as connection, connection:
        connection.execute("UPDATE documents SET data = CAST(replace(CAST(data AS TEXT), 'laptop', 'laptoq') AS BLOB)")
    assert load(root).endpoints["fraud"].stages["dev"].data["compute"] == "laptop"


def test_rows_of_other_types_are_worthless(write: Write) -> None:
    root = write({})
    warm(root)
    with closing(sqlite3.connect(root / CACHE_FILE)) as connection, connection:
        connection.execute("UPDATE documents SET data = 7, check_sum = 'x'")
        connection.execute("UPDATE files SET mtime = 'x', sha256 = 3")
    assert load(root).endpoints["fraud"].stages["dev"].data["compute"] == "laptop"


def test_another_version_of_the_toolkit_trusts_nothing(write: Write) -> None:
    root = write({})
    warm(root)
    with closing(sqlite3.connect(root / CACHE_FILE)) as connection, connection:
        connection.execute("UPDATE identity SET value = 'of another version'")
    assert Cache.open(root).document("anything") is None
    assert Cache.open(root).file("mlops.yaml") is None
    load(root)
    assert rows(root, "identity") == {module.identity()}
    assert Cache.open(root).file("mlops.yaml") is not None


def test_problems_are_not_kept(write: Write) -> None:
    root = write({"models/fraud/1.yaml": "sha256: x\n"})
    settle(root)
    first = read(root).problems
    assert first
    assert read(root).problems == first


def test_a_cache_that_cannot_be_written_is_done_without(write: Write) -> None:
    root = write({})
    (root / ".mlops").write_text("a file where the folder should be", encoding="utf-8")
    assert load(root).models
    assert (root / ".mlops").is_file()


def test_a_cache_behind_a_link_is_not_used(write: Write, tmp_path: Path) -> None:
    root = write({})
    (tmp_path / "elsewhere").mkdir()
    (root / ".mlops").symlink_to(tmp_path / "elsewhere")
    assert load(root).models
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_cache_that_another_process_holds_is_done_without(write: Write) -> None:
    root = write({})
    warm(root)
    with closing(sqlite3.connect(root / CACHE_FILE)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        (root / "endpoints/fraud/dev.yaml").write_text(
            "compute: tower\ndeployments: {blue: {model: fraud:1}}\n", encoding="utf-8"
        )
        assert load(root).endpoints["fraud"].stages["dev"].data["compute"] == "tower"


def test_processes_share_the_cache(write: Write) -> None:
    root = write({f"models/fraud/{n}.yaml": f"uri: file:///x\nsha256: {'a' * 64}\n" for n in range(2, 40)})
    command = [sys.executable, "-c", COUNT_MODELS, str(root)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0] for process in running]
    assert outputs == ["39\n"] * 4
    assert [process.returncode for process in running] == [0] * 4
    with closing(sqlite3.connect(root / CACHE_FILE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_the_cache_does_not_grow_without_bound(tmp_path: Path) -> None:
    """Rows that nothing asks for stay until they are many more than those in use."""
    row = FileRow(1, 1, 1, 1, 1, "0" * 64)
    first = Cache.open(tmp_path)
    for number in range(3000):
        first.keep_file(f"old/{number}", row)
        first.keep_document(f"old:{number}", {"n": number})
    first.save()
    second = Cache.open(tmp_path)
    for number in range(1500):
        second.file(f"old/{number}")
        second.document(f"old:{number}")
    second.save()
    assert len(rows(tmp_path, "files")) == len(rows(tmp_path, "documents")) == 3000
    third = Cache.open(tmp_path)
    third.keep_file("new", row)
    third.save()
    assert rows(tmp_path, "files") == {"new"}
    assert rows(tmp_path, "documents") == set()


def test_nothing_is_written_when_nothing_is_new(write: Write) -> None:
    root = write({})
    warm(root)
    before = (root / CACHE_FILE).stat()
    load(root)
    after = (root / CACHE_FILE).stat()
    assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)

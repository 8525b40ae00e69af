"""A registry that may be read and not written: observed all the same, with and without a log beside the index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.registry.bench import Bench

_OBSERVE = """
import os, sys
from pathlib import Path
from mlops.errors import TargetError
from mlops.resource import Address, Kind, Resource
from tests.unit.registry.bench import Bench
if os.geteuid() == 0:  # whom permissions do not bind; after the imports, which another user may not be able to make
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
bench = Bench(Path(sys.argv[1]))
print(*bench.seen())
model = Resource(Address(Kind.MODEL, "fraud:2"), "registry", {"files": {}})
try:
    bench.driver().put(model, bench.stamp(model))
except TargetError as error:
    print(error.diagnostics[0].summary)
"""


def _as_reader(root: Path) -> list[str]:
    """What a process sees that may read everything below the root and write nothing."""
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    repository = Path(__file__).parents[3]
    try:
        done = subprocess.run(
            [sys.executable, "-c", _OBSERVE, str(root)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(repository), "TMPDIR": str(root.parent / "tmp")},
        )
    finally:
        for path in (root, *root.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)
    return done.stdout.splitlines()


@pytest.fixture
def open_bench() -> Iterator[Bench]:
    """A bench that another user may look into; pytest's own folders are for one user only."""
    with tempfile.TemporaryDirectory(prefix="mlops-registry-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for child, mode in (("root", 0o755), ("tmp", 0o777)):
            (folder / child).mkdir()
            (folder / child).chmod(mode)
        yield Bench(folder / "root")


def test_an_index_without_a_log_is_read(open_bench: Bench) -> None:
    open_bench.put(open_bench.model()).close()
    assert not (open_bench.folder / "index.sqlite3-wal").exists()
    assert _as_reader(open_bench.root) == ["model/fraud:1", "Registry cannot reach a file"]


@pytest.mark.parametrize("kept", [True, False], ids=["with shared memory", "without shared memory"])
def test_an_index_with_a_log_is_read_with_what_the_log_holds(open_bench: Bench, *, kept: bool) -> None:
    driver = open_bench.put(open_bench.model())
    copy = open_bench.root.parent / "copy"
    shutil.copytree(open_bench.folder, copy)
    driver.close()
    shutil.rmtree(open_bench.folder)
    shutil.copytree(copy, open_bench.folder)
    if not kept:
        (open_bench.folder / "index.sqlite3-shm").unlink()
    assert (open_bench.folder / "index.sqlite3-wal").stat().st_size
    assert _as_reader(open_bench.root)[0] == "model/fraud:1"

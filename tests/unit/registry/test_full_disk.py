"""A disk that is full: said so, nothing half there, and everything that was registered before intact."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.registry.bench import Bench

from mlops.drivers.registry.verify import verify
from mlops.errors import TargetError

_SMALL = 1 << 20

_FILL = """
import os, sys
from pathlib import Path
from mlops.errors import TargetError
from tests.unit.registry.bench import Bench
bench = Bench(Path(sys.argv[1]))
outside = Path(sys.argv[2])
driver = bench.driver()
large = int(sys.argv[3])
for number in range(1, 10_000):
    model = bench.model(f"fraud:{number}", content=os.urandom(large), description="x" * 4000)
    try:
        driver.put(model, bench.stamp(model))
    except TargetError as error:
        print(error.diagnostics[0].summary)
        break
    outside.write_text(str(number))
"""


def _limit() -> None:
    """Let no file become larger, which is what is left where a file system cannot be mounted."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (_SMALL // 4, _SMALL // 4))


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path | None]:
    """A file system of one megabyte, where this user may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SMALL}", "tmpfs", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True)
    try:
        yield folder if done.returncode == 0 else None
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(folder: Path, outside: Path, size: int, *, limited: bool) -> str:
    """Register in a process of its own until something fails; give what it said."""
    command = [sys.executable, "-c", _FILL, str(folder), str(outside), str(size)]
    repository = Path(__file__).parents[3]
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(repository)},
        preexec_fn=_limit if limited else None,
    )
    return done.stdout.strip()


def _intact(bench: Bench, count: int) -> None:
    assert sorted(bench.seen()) == sorted(f"model/fraud:{n}" for n in range(1, count + 1))
    assert verify(bench.driver()).problems == ()
    assert list((bench.folder / "incoming").iterdir()) == []


@pytest.mark.parametrize("size", [100, 60_000], ids=["the index does not fit", "the content does not fit"])
def test_a_full_disk_loses_nothing(tmp_path: Path, mounted: Path | None, size: int) -> None:
    registry = mounted or tmp_path / "limited"
    registry.mkdir(exist_ok=True)
    root = tmp_path / "root"
    root.mkdir()
    (root / ".mlops").symlink_to(registry, target_is_directory=True)
    outside = tmp_path / "count"
    said = _fill(root, outside, size, limited=mounted is None)
    assert said in {"Disk is full", "Disk is full or failing"}
    count = int(outside.read_text())
    assert count > 0
    _intact(Bench(root), count)


def test_a_file_that_is_too_large_leaves_nothing_behind(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    bench = Bench(root)
    bench.put(bench.model()).close()
    large = bench.model("fraud:2", content=os.urandom(_SMALL))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_SMALL // 2, limits[1]))
    try:
        with pytest.raises(TargetError) as error:
            bench.driver().put(large, bench.stamp(large))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.diagnostics[0].summary == "Disk is full"
    _intact(bench, 1)
    bench.put(large)
    _intact(bench, 2)

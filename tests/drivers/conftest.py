"""Real targets for drivers, small enough to be made for every test."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.drivers.bench import Bench
from tests.drivers.rigs import RIGS, Rig

from mlops.lockfile import LockInput, server_requirements
from mlops.pipeline.lock_making import make_lock


@pytest.fixture(scope="session")
def tiny_lock(test_cache: Path) -> Path:
    """A lock with the scoring server's requirements only."""
    source = LockInput((), None, (), server_requirements())
    path = test_cache / f"tiny-{source.sha256[:16]}.lock"
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(make_lock("tiny:1", source))
        part.replace(path)
    return path


@pytest.fixture(scope="session")
def shared_root(tmp_path_factory: pytest.TempPathFactory, tiny_lock: Path) -> Path:
    """A root whose virtual environments are made once for all tests that do not break them."""
    root = tmp_path_factory.mktemp("root")
    (root / "tiny.lock").write_bytes(tiny_lock.read_bytes())
    return root


@pytest.fixture
def bench(shared_root: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Local endpoints on a compute of the test's own."""
    compute = "c" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:10]
    made = Bench(shared_root, shared_root / "tiny.lock", compute)
    yield made
    made.close()


@pytest.fixture
def fresh_bench(tmp_path: Path, tiny_lock: Path) -> Iterator[Bench]:
    """Local endpoints below a root of the test's own, without virtual environments yet."""
    (tmp_path / "tiny.lock").write_bytes(tiny_lock.read_bytes())
    made = Bench(tmp_path, tmp_path / "tiny.lock")
    yield made
    made.close()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A temporary folder whose path is short."""
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        yield Path(folder)


@pytest.fixture(params=sorted(RIGS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    """Each driver in turn, with a target of its own."""
    return RIGS[request.param](request, tmp_path)


@pytest.fixture(scope="session")
def rigged() -> frozenset[str]:
    """Names of the drivers that the contract test covers."""
    return frozenset(RIGS)

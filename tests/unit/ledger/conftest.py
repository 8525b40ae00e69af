"""Every repository that a test opened is closed when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.git.room import make_repository
from tests.unit.ledger.rig import ManualClock, close_all


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one commit."""
    return make_repository(tmp_path / "r")


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()

"""Workers that collect, and the environment in which collectors and readers of other makers live."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scoring.collection.stores import COLLECTING, ROLLING
from tests.scoring.environments import make_environment


@pytest.fixture(scope="session")
def collecting_python(test_cache: Path) -> Path:
    """An interpreter with Azure ML's collector and CloudEvents' SDK."""
    return make_environment(test_cache, COLLECTING)


@pytest.fixture(scope="session")
def rolling_python(test_cache: Path) -> Path:
    """An interpreter with pyarrow."""
    return make_environment(test_cache, ROLLING)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder of a store that is not there yet."""
    return tmp_path / "store"

"""A small repository that resolves, and a function that writes it with changes and loads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.unit.small_repository import write_repository

from mlops.loader import load
from mlops.resolve import Repository

Declare = Callable[[Mapping[str, str | bytes | None]], Repository]


@pytest.fixture
def declare(tmp_path: Path) -> Declare:
    """A function that writes the small repository with files added, replaced or (None) left out, and loads it."""
    root = tmp_path / "repository"

    def make(changes: Mapping[str, str | bytes | None]) -> Repository:
        return load(write_repository(root, changes))

    return make

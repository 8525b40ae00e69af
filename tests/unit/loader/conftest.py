"""A small valid repository, and a function that writes it with changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.unit.small_repository import write_repository

Write = Callable[[Mapping[str, str | bytes | None]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes the small repository with files added, replaced or (None) left out; returns its root."""
    root = tmp_path / "repository"

    def make(changes: Mapping[str, str | bytes | None]) -> Path:
        return write_repository(root, changes)

    return make

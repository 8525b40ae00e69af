"""Laptops whose processes end with their test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.laptop import Laptop, make_laptop, make_template
from tests.e2e.processes import Gate


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository to copy."""
    return make_template(tmp_path_factory.mktemp("template") / "greetings")


@pytest.fixture
def laptop(template: Path, tmp_path: Path) -> Iterator[Laptop]:
    """A repository that declares the endpoint `hello` on this machine; nothing is applied yet."""
    made = make_laptop(template, tmp_path / "greetings")
    yield made
    made.close()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate that stands."""
    return Gate(tmp_path / "gate")

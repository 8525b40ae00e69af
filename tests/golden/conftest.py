"""The switch that writes the golden files anew."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/golden --update-golden`: take what is produced now as right, and look at it in `git diff`."""
    parser.addoption("--update-golden", action="store_true", help="write the golden plans anew")

"""Every repository that a test opened is closed when it ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.ledger.rig import close_all


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()

"""A team's repository with computes in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.features.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Two models and the endpoint `fraud` in dev and prod; nothing is applied yet."""
    made = Workshop.begin(tmp_path / "shop")
    for version in ("1", "2", "3"):
        made.add_model(f"fraud:{version}")
    made.declare("fraud", "dev", "fraud:1")
    made.declare("fraud", "prod", "fraud:1", compute="live")
    made.commit("Declare fraud")
    return made

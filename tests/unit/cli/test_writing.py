"""Files that the user asked for, where they cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.cli.writing import writing
from mlops.errors import MlopsError


def test_what_stands_in_the_way_is_said(tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "plan.json"
    with pytest.raises(MlopsError, match=r"Cannot write: .*plan\.json: No such file or directory\."), writing(target):
        target.write_bytes(b"")

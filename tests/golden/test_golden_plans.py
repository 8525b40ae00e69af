"""A repository and what is live give exactly this plan, as JSON, Markdown and text.

`pytest tests/golden --update-golden` writes what is produced now; whoever does that looks at `git diff` afterwards.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.golden.stage_hand import StageHand

from mlops.plan.file import read_plan, write_plan
from mlops.reports.plan.markdown import render_plan_markdown
from mlops.reports.plan.text import render_plan

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/live.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_plan(case: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The file is read back before it is rendered, so what is shown needs no repository and no target."""
    data = write_plan(StageHand(case, tmp_path / "repository").play())
    plan = read_plan(data)
    produced = {
        "plan.json": data.decode(),
        "plan.md": render_plan_markdown(plan),
        "plan.txt": render_plan(plan),
    }
    if request.config.getoption("--update-golden", default=False):
        for name, text in produced.items():
            (case / name).write_text(text, encoding="utf-8")
    expected = {name: (case / name).read_text(encoding="utf-8") for name in produced}
    assert produced == expected


def test_there_are_cases() -> None:
    assert len(CASES) >= 8

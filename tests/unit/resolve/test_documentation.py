"""docs/configuration.md: its documents together are a repository that resolves."""

from __future__ import annotations

import re
from pathlib import Path

from mlops.drivers.local.options import LocalOptions
from mlops.loader import read
from mlops.lockfile import LockInput, lock_header, server_requirements
from mlops.resolve import ComputeType, survey

DOCUMENT = Path(__file__).parents[3] / "docs/configuration.md"
TYPES = {"local": ComputeType(lambda: LocalOptions)}


def test_the_documents_of_the_guide_are_one_valid_repository(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    blocks = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", text, re.DOTALL))
    assert len(blocks) == text.count("```yaml") == 9
    python, platforms = "3.12", ("linux-x86_64", "macos-arm64")
    source = LockInput(("numpy>=2", "scikit-learn==1.9.1"), python, platforms, server_requirements())
    files = {
        **blocks,
        "models/fraud/4.onnx": "test",
        "environments/scoring/1.lock": lock_header("scoring:1", source),
        "endpoints/fraud/code/score.py": "",
        "endpoints/fraud/sample.json": "[]",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    loaded = read(tmp_path, cache=False, compute_types=TYPES)
    assert loaded.problems == ()
    resolved, problems = survey(loaded.repository, TYPES)
    assert problems == ()
    waits = {resource.address.name: resource.waits for resource in resolved["prod"].resources}
    assert waits == {"fraud@server": ("model/fraud:3",), "scores@server": ()}

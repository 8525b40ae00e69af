"""What `make run` shows, and what it proposes to try next, on this repository's own models and on real processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_MLOPS = Path(sys.executable).parent / "mlops"
_DIGITS = "endpoints/digits/dev.yaml"


def _mlops(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([_MLOPS, *arguments], cwd=root, capture_output=True, text=True, check=False)


def _expect(root: Path, code: int, *arguments: str) -> str:
    """The result of a command that has to end with this code."""
    done = _mlops(root, *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def _serve(root: Path, old: str, new: str) -> None:
    """Change the one line that a promotion changes; nothing is committed."""
    path = root / _DIGITS
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """A clone of this repository as it is on disk; what it has live is taken down in the end."""
    root = tmp_path / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=_ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (_ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(_ROOT / name, root / name)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    yield root
    _expect(root, 0, "destroy", "--stage", "dev", "--yes")


@pytest.mark.timeout(900)
def test_run_promote_return_and_ask(clone: Path) -> None:
    """Deploy all, promote digits by one line, let a bad version be returned, and read who did what."""
    shown = subprocess.run([sys.executable, "tooling/tour.py"], cwd=clone, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "[4, 1, 1]" in shown.stdout
    assert "What to try next" in shown.stdout
    _expect(clone, 0, "plan", "--stage", "dev", "--detailed-exitcode")

    _serve(clone, "digits:1", "digits:2")
    planned = _expect(clone, 2, "plan", "--stage", "dev", "--detailed-exitcode")
    assert "1 to update, 0 to delete, 7 unchanged" in planned
    assert len(planned.splitlines()) <= 24
    _expect(clone, 0, "apply", "--stage", "dev", "--yes", "--reason", "better on held-out digits")
    assert _expect(clone, 0, "score", "digits", "--stage", "dev").strip() == "[4, 1, 1]"

    _serve(clone, "digits:2", "digits:3")
    returned = _mlops(clone, "apply", "--stage", "dev", "--yes")
    assert returned.returncode == 1
    assert "returned to the last good version" in returned.stdout
    assert _expect(clone, 0, "score", "digits", "--stage", "dev").strip() == "[4, 1, 1]"
    assert "1 blocked" in _expect(clone, 0, "plan", "--stage", "dev")
    assert "digits:2 (100 %)" in _expect(clone, 0, "status", "--stage", "dev")

    told = _expect(clone, 0, "history", "--stage", "dev")
    assert "test@example.com" in told
    assert "better on held-out digits" in told

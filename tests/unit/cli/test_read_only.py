"""A repository that may be read and not written: looking works, and what cannot be done says why."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.features.workshop import Workshop

_AS_READER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of capability.h, by which root may write anyway
    libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.argv[1], sys.argv[1:])
"""


def _set_writable(root: Path, *, writable: bool) -> None:
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o200 if writable else mode & ~0o222)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Workshop]:
    """A repository whose files nobody may write."""
    made = Workshop.begin(tmp_path / "shop")
    made.add_model("fraud:1")
    made.add_model("fraud:2")
    made.declare("fraud", "dev", "fraud:1")
    made.commit("Declare fraud")
    _set_writable(made.root, writable=False)
    yield made
    _set_writable(made.root, writable=True)


def run(workshop: Workshop, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _AS_READER, sys.executable, "-m", "mlops", *arguments]
    return subprocess.run(command, cwd=workshop.root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command", ["validate", "plan --stage dev", "status --stage dev", "history --stage dev", "model list", "show fraud"]
)
def test_looking_works(closed: Workshop, command: str) -> None:
    done = run(closed, *command.split(), *(["--stage", "dev"] if command == "show fraud" else []))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "command",
    ["apply --stage dev --yes", "model tag fraud:1 a=b", "model delete fraud:2", "schema --out schemas", "init more"],
)
def test_what_cannot_be_written_is_an_error_and_no_bug(closed: Workshop, command: str) -> None:
    done = run(closed, *command.split())
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr


def test_doctor_says_so(closed: Workshop) -> None:
    done = run(closed, "doctor")
    assert done.returncode == 1
    assert "cannot be written" in done.stdout
    assert "mend the permissions" in done.stdout

"""What a shell offers for the names of objects."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.features.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A repository with one model, one environment and one endpoint."""
    made = Workshop.begin(tmp_path / "shop")
    made.add_model("fraud:1")
    made.declare("fraud", "dev", "fraud:1")
    return made


def offered(workshop: Workshop, *words: str) -> list[str]:
    environ = os.environ | {
        "_MLOPS_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    command = [sys.executable, "-m", "mlops"]
    done = subprocess.run(command, cwd=workshop.root, env=environ, capture_output=True, text=True, check=True)
    return [line.removeprefix("plain,") for line in done.stdout.split()]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("show", "f"), ["fraud"]),
        (("show", "e"), ["environment/plain:1", "endpoint/fraud@here"]),
        (("plan", "--only", "m"), ["model/fraud:1"]),
        (("model", "show", "f"), ["fraud:1"]),
        (("environment", "show", "p"), ["plain:1"]),
        (("environment", "lock", "p"), ["plain:1"]),
        (("plan", "--stage", ""), ["dev", "prod", "shared"]),
    ],
)
def test_names_of_the_repository_are_offered(workshop: Workshop, words: tuple[str, ...], names: list[str]) -> None:
    assert offered(workshop, "mlops", *words) == names

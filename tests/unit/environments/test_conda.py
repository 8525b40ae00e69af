"""What of a Conda file pip can install."""

from __future__ import annotations

import pytest

from mlops.conda import CondaInput, read_conda, unmet_packages
from mlops.errors import InvalidRepository


def test_pip_section_and_python_are_taken_over() -> None:
    document = {
        "name": "model-env",
        "channels": ["conda-forge"],
        "dependencies": ["python=3.11", "pip=24", {"pip": ["numpy>=1", "Scikit_Learn==1.9.1"]}],
    }
    assert read_conda(document) == CondaInput(("numpy>=1", "scikit-learn==1.9.1"), "3.11", ())


@pytest.mark.parametrize("written", ["python=3.11", "python==3.11", "python = 3.11.4", "python=3.11.*"])
def test_spellings_of_a_minor_version(written: str) -> None:
    assert read_conda({"dependencies": [written]}).python == "3.11"


@pytest.mark.parametrize(
    "written", ["python", "python>=3.9", "python=3", "numpy", "conda-forge::cudatoolkit=11.8", "pipx"]
)
def test_what_only_conda_can_meet_is_unmet_as_written(written: str) -> None:
    """A package that pip knows by the same name is not guessed to be the same."""
    assert read_conda({"dependencies": [written, "pip"]}).unmet == (written,)


def test_two_pythons_are_unmet() -> None:
    assert read_conda({"dependencies": ["python=3.11", "python=3.12"]}).unmet == ("python=3.11", "python=3.12")


@pytest.mark.parametrize(
    "document",
    [
        None,
        ["numpy"],
        {"dependencies": "numpy"},
        {"dependencies": [3]},
        {"dependencies": [{"pip": "numpy"}]},
        {"dependencies": [{"conda": []}]},
        {"dependencies": [], "variables": {"A": "1"}},
        {"dependencies": [], "prefix": "/opt/env"},
        {"dependencies": [{"pip": ["-r requirements.txt"]}]},
    ],
)
def test_what_would_be_ignored_is_refused(document: object) -> None:
    with pytest.raises(InvalidRepository):
        read_conda(document)


def test_the_ways_out_are_named() -> None:
    problem = unmet_packages(("cudatoolkit=11.8",))
    assert "cudatoolkit=11.8" in problem.detail
    assert "Docker" in problem.todo
    assert "micromamba" in problem.todo

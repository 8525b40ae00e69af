"""What surrounds the code does what it says: make, CI's programs, workflows, the table of measurements."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from bench.table import at_least, at_most, render
from ruamel.yaml import YAML

_ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("test", "check", "code"), [("true", "true", 0), ("false", "true", 1), ("true", "false", 1), ("false", "false", 1)]
)
def test_ci_fails_when_any_of_its_parts_fails_and_runs_all_of_them(
    test: str, check: str, code: int, tmp_path: Path
) -> None:
    shutil.copytree(_ROOT / ".ci", tmp_path / ".ci")
    makefile = f"test:\n\t@echo tested $$CI; {test}\ncheck:\n\t@echo checked; {check}\n"
    (tmp_path / "Makefile").write_text(makefile, encoding="utf-8")
    # As on a fresh machine: without what an outer make says to an inner one.
    environment = {key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    run = [tmp_path / ".ci/run"]
    done = subprocess.run(run, cwd="/", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines()[:2] == ["tested true", "checked"]


def test_setup_for_ci_names_what_is_missing_where_it_cannot_be_installed(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path)}
    done = subprocess.run(
        ["/bin/sh", _ROOT / ".ci/setup"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "git make python3 python3-venv" in done.stderr


def test_make_says_that_python_is_missing() -> None:
    done = subprocess.run(["make", "-C", _ROOT, "setup", "PYTHON="], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "no Python >= 3.11 found" in done.stderr


def test_make_help_describes_every_target_that_a_user_calls() -> None:
    shown = subprocess.run(["make", "-C", _ROOT, "help"], capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^  make ([a-z]+) +\S", shown, re.MULTILINE))
    assert targets >= {"help", "setup", "run", "test", "check", "bench", "lock", "schemas", "clean"}


@pytest.mark.parametrize("path", sorted((_ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name)
def test_a_workflow_begins_without_rights_and_pins_what_it_uses(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert YAML(typ="safe", pure=True).load(text)["permissions"] == {}
    for used in re.findall(r"uses:\s*(\S.*)", text):
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used


def test_the_licence_is_the_one_that_the_package_names() -> None:
    text = (_ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert 'license = "Apache-2.0"' in (_ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_table_says_which_bars_are_kept() -> None:
    rows = [at_most("plan", 0.5, 0.4, "s", peer="1 s, other"), at_least("rate", 2000, 1000, "/s")]
    assert render(rows).splitlines() == [
        "| Measured | Ours     | Peer       | Bar               | Kept   |",
        "| -------- | -------- | ---------- | ----------------- | ------ |",
        "| plan     | 0.5 s    | 1 s, other | at most 0.4 s     | **no** |",
        "| rate     | 2,000 /s |            | at least 1,000 /s | yes    |",
    ]


def test_the_layers_in_the_documentation_are_those_that_are_checked() -> None:
    configured = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [layers] = [c["layers"] for c in configured["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    section = (_ROOT / "docs/architecture.md").read_text(encoding="utf-8").partition("## Layers")[2]
    table = section.partition("\n## ")[0]
    rows = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table.splitlines() if line.startswith("| `")]
    assert rows == [[name.removeprefix("mlops.") for name in layer.split(" | ")] for layer in layers]


def test_the_example_of_testing_an_error_passes(tmp_path: Path) -> None:
    [example] = re.findall(
        r"```python\n(.*?)```", (_ROOT / "docs/writing-errors.md").read_text(encoding="utf-8"), re.DOTALL
    )
    imports = ("import pytest", "from mlops.errors import InvalidRepository", "from mlops.loader import load")
    head = "\n".join((*imports, "MakeRepository = object", ""))
    (tmp_path / "conftest.py").write_bytes((_ROOT / "tests/conftest.py").read_bytes())
    (tmp_path / "test_example.py").write_text(head + example, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout

"""The checks of `make check` that are our own can fail, and say why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from checks import lock, size

_ROOT = Path(__file__).parents[3]


def test_a_module_beyond_the_cap_is_named() -> None:
    assert list(size.problems("tests/x.py", "x = 1\n" * 400)) == []
    assert list(size.problems("tests/x.py", "x = 1\n" * 401)) == [
        "tests/x.py: 401 lines, at most 400; divide it by idea"
    ]


def test_a_function_beyond_the_cap_is_named_and_its_docstring_is_not_counted() -> None:
    longest = 'def f():\n    """Say\n    much."""\n' + "    x = 1\n" * 39
    assert list(size.problems("tooling/x.py", longest)) == []
    assert list(size.problems("tooling/x.py", longest + "    x = 1\n")) == [
        "tooling/x.py:1: f has 41 lines, at most 40"
    ]
    assert list(size.problems("tests/x.py", longest + "    x = 1\n")) == []


def _project(**groups: list[str]) -> dict[str, object]:
    extras = {"local": groups.get("local", [])}
    return {
        "project": {"dependencies": groups.get("base", []), "optional-dependencies": extras},
        "dependency-groups": {"dev": groups.get("dev", [])},
    }


def test_a_lock_that_lags_behind_is_named() -> None:
    text = "click==8.2.0 \\\n    --hash=sha256:00\nnumpy==2.4 ; python_version < '3.12' \\\n    --hash=sha256:00\n"
    assert list(lock.problems(_project(base=["Click>=8"], dev=["numpy"], local=["mlops-scoring==9"]), text)) == []
    assert list(lock.problems(_project(base=["click>=9"]), text)) == [
        "requirements.lock pins click 8.2.0, but pyproject.toml asks for click>=9"
    ]
    assert list(lock.problems(_project(local=["uv>=0.9"]), text)) == ["requirements.lock lacks uv>=0.9"]


def test_a_lock_that_names_an_index_is_refused() -> None:
    assert list(lock.problems(_project(), "--index-url https://example.com\n")) == [
        "requirements.lock names an index; resolve it with --no-emit-index-url"
    ]


def test_every_lock_of_this_repository_holds_hashes_and_no_address() -> None:
    listed = subprocess.run(["git", "ls-files", "*.lock"], cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    assert listed.split()
    for name in listed.split():
        text = (_ROOT / name).read_text(encoding="utf-8")
        assert list(lock.problems(_project(), text)) == [], name
        assert text.count("--hash=sha256:") >= len(lock.pins(text)), name


def test_setup_does_nothing_when_it_is_done(tmp_path: Path) -> None:
    """The stamp names lock, interpreter and place: a second run starts no other process."""
    (tmp_path / "tooling/scoring").mkdir(parents=True)
    for name in ("requirements.lock", "pyproject.toml", "tooling/scoring/pyproject.toml", "tooling/bootstrap.py"):
        (tmp_path / name).write_bytes((_ROOT / name).read_bytes())
    stamp = "import sys; sys.path.insert(0, 'tooling'); import bootstrap as b; print(b._wanted(b._interpreter()))"
    wanted = subprocess.run([sys.executable, "-c", stamp], cwd=tmp_path, capture_output=True, text=True, check=True)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/ready").write_text(wanted.stdout.strip(), encoding="utf-8")
    command = [sys.executable, "tooling/bootstrap.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PATH": ""}, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert [path.name for path in (tmp_path / ".venv").iterdir()] == ["ready"]

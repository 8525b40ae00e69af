"""The last lines of rotating logs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mlops.drivers.local.home import Home
from mlops.drivers.local.logs import last_lines, tail


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "logs").mkdir()
    return Home(tmp_path, "digits", 8600, tmp_path / "admin.sock")


def write(home: Home, name: str, text: str, written: int = 1) -> None:
    path = home.logs / name
    path.write_text(text)
    os.utime(path, (written, written))


def test_lines_go_on_over_rotated_files(home: Home) -> None:
    write(home, "blue-1-0.log.2", "one\ntwo\n")
    write(home, "blue-1-0.log.1", "three\n")
    write(home, "blue-1-0.log", "four\nfive")
    assert list(tail(home, ("blue-1",), 4)) == [f"blue-1-0 | {word}" for word in ("two", "three", "four", "five")]


def test_one_deployment_is_told_from_another_whose_name_begins_alike(home: Home) -> None:
    for name in ("blue-1-0.log", "blue-1-1.log", "blue-12-0.log", "blue-1-x-0.log", "supervisor.log"):
        write(home, name, "line\n")
    assert {line.partition(" ")[0] for line in tail(home, ("blue-1",), 5)} == {"blue-1-0", "blue-1-1"}
    assert len(list(tail(home, None, 5))) == 5


def test_what_was_written_last_comes_last(home: Home) -> None:
    write(home, "blue-1-0.log", "old\n", written=1)
    write(home, "blue-1-1.log", "new\n", written=3)
    write(home, "supervisor.log", "between\n", written=2)
    assert [line.partition(" | ")[2] for line in tail(home, None, 5)] == ["old", "between", "new"]


def test_only_the_end_of_a_large_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.log"
    with path.open("wb") as stream:
        stream.truncate(1 << 33)
        stream.seek(0, 2)
        stream.write(b"\n" + b"x" * 100_000 + b"\nlast \xff\n")
    assert [len(line) for line in last_lines([path], 2)] == [100_000, 6]


@pytest.mark.parametrize("lines", [0, 1, 3, 10])
def test_never_more_than_asked_for(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"{n}\n" for n in range(3)))
    assert last_lines([path], lines) == ["0", "1", "2"][3 - min(lines, 3) :]


def test_no_logs_are_no_lines(home: Home) -> None:
    assert list(tail(home, None, 5)) == []


def test_json_lines_are_shown_as_text(home: Home) -> None:
    record = {"time": "2026-01-01T00:00:00.000Z", "level": "ERROR", "logger": "a", "message": "m", "exception": "T\nE"}
    write(home, "blue-1-0.log", f"plain \x1b[1m\n{json.dumps(record)}\n")
    assert list(tail(home, None, 5)) == [f"blue-1-0 | {text}" for text in (r"plain \x1b[1m", "ERROR a: m", "T", "E")]

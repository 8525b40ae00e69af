"""Files as text, read when they may have been exchanged since they were looked at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlops.loader.text import SIZE_LIMIT, TextProblem, decode, read_bounded


def test_the_bytes_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    outcome = read_bounded(tmp_path / "a")
    assert not isinstance(outcome, TextProblem)
    assert outcome[0] == b"x"


def test_a_file_of_exactly_the_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * SIZE_LIMIT)
    assert not isinstance(read_bounded(tmp_path / "a"), TextProblem)
    (tmp_path / "a").write_bytes(b"x" * (SIZE_LIMIT + 1))
    assert isinstance(read_bounded(tmp_path / "a"), TextProblem)


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        ("link", "File cannot be read"),
        ("pipe", "Not a regular file"),
        ("folder", "File cannot be read"),
        ("gone", "File cannot be read"),
        ("endless", "File cannot be read"),
    ],
)
def test_what_is_no_file(tmp_path: Path, name: str, summary: str) -> None:
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    outcome = read_bounded(tmp_path / name)
    assert isinstance(outcome, TextProblem)
    assert outcome.summary == summary


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [(b"ab\ncd\xff", 2, 3), ("é\nü".encode() + b"\xc3", 2, 2), (b"\xed\xa0\x80", 1, 1)],
)
def test_where_text_is_not_utf_8(content: bytes, line: int, column: int) -> None:
    problem = decode(content)
    assert isinstance(problem, TextProblem)
    assert (problem.summary, problem.line, problem.column) == ("Not plain UTF-8", line, column)

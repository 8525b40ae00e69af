"""How single values are written."""

from __future__ import annotations

import pytest

from mlops.reports.values import duration_text, iso, name_text, plural, short, size_text, time_text, value_text
from mlops.resource import JSON, UNSET, digest


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0ms"),
        (0, "0ms"),
        (0.25, "250ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.6, "1m"),
        (60, "1m"),
        (125, "2m 5s"),
        (3600, "1h"),
        (11_400, "3h 10m"),
        (187_200, "2d 4h"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10_240, "10 KiB"),
        (3 * 1024**3, "3.0 GiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_sizes_have_the_largest_unit(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ("1", '"1"'),
        (UNSET, "(unset)"),
        ("(unset)", '"(unset)"'),
        ({"b": 1, "a": [2.5]}, '{"a": [2.5], "b": 1}'),
        ("line\nbreak", '"line\\nbreak"'),
        ("\x9b2J", '"\\x9b2J"'),
    ],
)
def test_values_are_json_on_one_line(value: JSON, text: str) -> None:
    assert value_text(value) == text


def test_digests_are_short_within_values() -> None:
    found = digest("x")
    assert value_text({"sha256": found}) == f'{{"sha256": "{found[:12]}…"}}'
    assert short(found) == found[:12]
    assert short(None) == "none"


def test_long_values_are_cut() -> None:
    assert value_text("x" * 100, 10) == '"xxxxxxxx…'


def test_names_have_no_quotes() -> None:
    assert name_text("4") == "4"
    assert name_text(4) == "4"
    assert name_text(True) == "true"
    assert name_text("a\x1b") == "a\\x1b"


def test_times_are_utc() -> None:
    assert time_text(0.9) == "1970-01-01 00:00:00Z"
    assert iso(1.0005) == "1970-01-01T00:00:01.000Z"


def test_plurals_count() -> None:
    assert [plural(n, "object") for n in (0, 1, 2000)] == ["0 objects", "1 object", "2,000 objects"]
    assert plural(2, "branch", "branches") == "2 branches"

"""Paths stay in the store and tell names apart; periods are whole and follow each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_scoring.collection.layout import Place, period_of, safe_part
from mlops_scoring.collection.settings import ROLLING_RATES, RollingRate

ROOT = Path("/store")
NAMES = st.text(st.characters(), max_size=150) | st.sampled_from(
    ["..", ".", "", "a/b", "../x", "a\0b", "%2E", "é" * 99]
)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2500, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@given(NAMES, NAMES, NAMES)
def test_no_name_leads_out_of_its_level(service: str, model: str, version: str) -> None:
    folder = Place(service, model, version).folder(ROOT)
    assert folder.parent.parent.parent == ROOT
    assert not any(part.startswith(".") for part in folder.parts[2:])
    assert all(len(part) <= 100 and part.isascii() and part.isprintable() for part in folder.parts)


@given(NAMES, NAMES)
def test_two_names_never_share_a_folder(one: str, other: str) -> None:
    assert (safe_part(one) == safe_part(other)) == (one == other or {one, other} == {"", "unnamed"})


def test_ordinary_names_are_left_as_they_are() -> None:
    assert [safe_part(name) for name in ("fraud", "v1.2_b-3", "3")] == ["fraud", "v1.2_b-3", "3"]


@pytest.mark.parametrize(
    ("rate", "stamp", "begin", "end"),
    [
        ("Year", "2026", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
        ("Month", "202612", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("Day", "20261231", "2026-12-31T00:00:00", "2027-01-01T00:00:00"),
        ("Hour", "20261231T23", "2026-12-31T23:00:00", "2027-01-01T00:00:00"),
        ("Minute", "20261231T2359", "2026-12-31T23:59:00", "2027-01-01T00:00:00"),
    ],
)
def test_periods_of_the_last_second_of_a_year(rate: RollingRate, stamp: str, begin: str, end: str) -> None:
    period = period_of(datetime(2026, 12, 31, 23, 59, 59, 999999, UTC), rate)
    assert period.stamp == stamp
    assert period.begin.isoformat() == begin + "+00:00"
    assert period.end.isoformat() == end + "+00:00"
    assert period.day == Path(*begin.partition("T")[0].split("-"))


@given(MOMENTS, st.sampled_from(ROLLING_RATES))
def test_every_moment_lies_in_exactly_one_period(moment: datetime, rate: RollingRate) -> None:
    period = period_of(moment, rate)
    assert period.begin <= moment < period.end
    assert period_of(period.end, rate).begin == period.end
    assert period_of(period.end - timedelta(microseconds=1), rate) == period

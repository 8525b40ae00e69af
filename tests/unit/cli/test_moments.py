"""Points in time as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.pipeline.moments import parse_time

NOW = datetime(2026, 11, 21, 13, 30, 15, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", "2026-11-21T13:30:15+00:00"),
        ("today", "2026-11-21T00:00:00+00:00"),
        ("Yesterday", "2026-11-20T00:00:00+00:00"),
        ("2026-11-20", "2026-11-20T00:00:00+00:00"),
        ("2026-11-20T09:30", "2026-11-20T09:30:00+00:00"),
        ("2026-11-20 09:30", "2026-11-20T09:30:00+00:00"),
        ("2026-11-20T09:30Z", "2026-11-20T09:30:00+00:00"),
        ("2026-11-20T09:30:00.250+01:00", "2026-11-20T08:30:00.250000+00:00"),
        ("2 hours ago", "2026-11-21T11:30:15+00:00"),
        ("an hour ago", "2026-11-21T12:30:15+00:00"),
        ("a  week   ago", "2026-11-14T13:30:15+00:00"),
        ("90 seconds ago", "2026-11-21T13:28:45+00:00"),
        ("@1795000000", "2026-11-18T11:06:40+00:00"),
    ],
)
def test_times_are_read(text: str, moment: str) -> None:
    assert datetime.fromtimestamp(parse_time(text, NOW), UTC).isoformat() == moment


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01", "2 moons ago", "-1 days ago", "@", "12:00 pm", "2026-11-20T25:00"]
)
def test_what_is_no_time_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no point in time\. Write 2026-11-20T09:30Z"):
        parse_time(text, NOW)


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_iso_times_come_back(moment: datetime) -> None:
    assert parse_time(moment.isoformat(), NOW) == pytest.approx(moment.timestamp(), abs=1e-5)


@given(st.text(max_size=30))
def test_nothing_else_is_raised(text: str) -> None:
    try:
        assert isinstance(parse_time(text, NOW), float)
    except ValueError as error:
        assert "is no point in time" in str(error)  # noqa: PT017 - either outcome is right

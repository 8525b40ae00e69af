"""Durations, CPU, memory and percentages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.schemas.quantities import parse_cpu, parse_duration, parse_memory, parse_percent


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("10m", 600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2d", 172800),
        ("1m500ms", 60.5),
        ("0s", 0),
        ("PT30S", 30),
        ("PT0.5S", 0.5),
        ("PT1H30M", 5400),
        ("P1DT2H", 93600),
        ("P2D", 172800),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "s",
        "-1s",
        "1s1m",
        "30 s",
        "٣s",
        "1e3s",
        "P",
        "PT",
        "P1DT",
        "pt30s",
        "P1Y",
        "30s\n",
        "1m 30s",
        "9" * 400 + "s",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 500ms"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "cores"), [("500m", 0.5), ("0.5", 0.5), (0.5, 0.5), (2, 2.0), ("2", 2.0), ("1m", 0.001)]
)
def test_cpu(value: str | float, cores: float) -> None:
    assert parse_cpu(value) == pytest.approx(cores)


@pytest.mark.parametrize("value", ["", "0", "0m", 0, -1, "-1", "1.5m", "m", "1 core", "1e3", "nan", "9" * 400])
def test_what_is_no_cpu(value: str | float) -> None:
    with pytest.raises(ValueError, match="write for example 500m"):
        parse_cpu(value)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("256Mi", 256 * 2**20),
        ("1Gi", 2**30),
        ("1.5Gi", 3 * 2**29),
        ("512M", 512 * 10**6),
        ("1k", 1000),
        ("1Ki", 1024),
        (1024, 1024),
        ("100", 100),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_memory(value: str | int, size: int) -> None:
    assert parse_memory(value) == size


@pytest.mark.parametrize("value", ["", "0", 0, "0Gi", "-1Gi", "1GB", "1gi", "Gi", "1 Gi", "0.5"])
def test_what_is_no_memory(value: str | int) -> None:
    with pytest.raises(ValueError, match="write for example 256Mi"):
        parse_memory(value)


@pytest.mark.parametrize(
    ("value", "share"), [("1%", 0.01), ("0.5 %", 0.005), ("100%", 1.0), (0.01, 0.01), (0, 0.0), (1, 1.0), ("0%", 0.0)]
)
def test_percent(value: str | float, share: float) -> None:
    assert parse_percent(value) == pytest.approx(share)


@pytest.mark.parametrize("value", ["", "1", "%", "101%", -0.1, 1.01, "-1%", 50])
def test_what_is_no_percentage(value: str | float) -> None:
    with pytest.raises(ValueError, match="write for example 1%"):
        parse_percent(value)


@given(st.text(max_size=12), st.sampled_from([parse_duration, parse_cpu, parse_memory, parse_percent]))
def test_any_text_gives_a_finite_amount_or_a_sentence(text: str, parse: Callable[[str], float]) -> None:
    try:
        amount = parse(text)
    except ValueError as error:
        assert "write for example" in str(error)  # noqa: PT017 - most texts are refused, and either outcome is right
    else:
        assert 0 <= amount < float("inf")

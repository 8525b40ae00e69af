"""Tables as text and as Markdown."""

from __future__ import annotations

from mlops.reports.palette import Palette, Tone
from mlops.reports.table import Cell, Table

TABLE = Table(("name", "note", "state"), [("a", "", Cell("Healthy", Tone.GOOD)), ("b\nc", "", "x|y")], "Nothing.")


def test_columns_are_aligned_and_empty_ones_left_out() -> None:
    assert TABLE.text() == "NAME  STATE\na     Healthy\nb\\nc  x|y\n"


def test_colour_does_not_disturb_the_columns() -> None:
    assert "\x1b[32mHealthy\x1b[0m" in TABLE.text(Palette(colour=True))


def test_markdown_keeps_every_column_and_escapes() -> None:
    assert TABLE.markdown().splitlines()[2:] == ["| a |  | Healthy |", "| b\\\\nc |  | x&#124;y |"]


def test_a_table_without_rows_says_so() -> None:
    empty = Table(("name",), [], "Nothing.")
    assert empty.text() == "Nothing.\n"
    assert empty.markdown() == "Nothing.\n"

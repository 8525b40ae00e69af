"""One table for everything that was measured, in Markdown so that it can be pasted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_HEADINGS = ("Measured", "Ours", "Peer", "Bar", "Kept")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was measured.
        ours: Our figure, with its unit.
        peer: The peer's figure and name; empty where there is none.
        bar: What ours has to be; empty where it is only reported.
        kept: Whether the bar is kept; None where there is none.
    """

    what: str
    ours: str
    peer: str = ""
    bar: str = ""
    kept: bool | None = None


def at_most(what: str, value: float, bound: float, unit: str, *, peer: str = "", bar: str = "") -> Row:
    """A line whose figure must not exceed a bound."""
    return Row(what, _figure(value, unit), peer, bar or f"at most {_figure(bound, unit)}", value <= bound)


def at_least(what: str, value: float, bound: float, unit: str, *, peer: str = "", bar: str = "") -> Row:
    """A line whose figure must not fall below a bound."""
    return Row(what, _figure(value, unit), peer, bar or f"at least {_figure(bound, unit)}", value >= bound)


def _figure(value: float, unit: str) -> str:
    """Three significant digits, thousands grouped."""
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text} {unit}".strip()


def render(rows: Iterable[Row]) -> str:
    """The table."""
    cells = [(r.what, r.ours, r.peer, r.bar, {True: "yes", False: "**no**", None: ""}[r.kept]) for r in rows]
    widths = [max(len(line[column]) for line in (_HEADINGS, *cells)) for column in range(len(_HEADINGS))]
    lines = (_HEADINGS, tuple("-" * width for width in widths), *cells)
    return "".join(
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |\n"
        for line in lines
    )

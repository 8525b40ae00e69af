"""Tables: one value, written as aligned text or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlops.reports.escape import markdown, plain
from mlops.reports.palette import PLAIN, Palette, Tone


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place of a table; the text may hold anything.

    Attributes:
        text: Shown on one line.
        tone: Its colour on a terminal.
    """

    text: str
    tone: Tone | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings.

    Attributes:
        headings: One for each column.
        rows: Cells, or plain texts, as many as there are headings.
        empty: Said instead where there is no row.
    """

    headings: tuple[str, ...]
    rows: Sequence[Sequence[Cell | str]]
    empty: str

    def text(self, palette: Palette = PLAIN) -> str:
        """Aligned columns, two spaces between them; columns that are empty in every row are left out."""
        if not self.rows:
            return f"{self.empty}\n"
        rows = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in self.rows]
        clean = [[plain(cell.text) for cell in row] for row in rows]
        kept = [column for column in range(len(self.headings)) if any(row[column] for row in clean)]
        widths = {c: max(len(self.headings[c]), *(len(row[c]) for row in clean)) for c in kept}
        written = ["  ".join(palette.paint(Tone.STRONG, self.headings[c].upper().ljust(widths[c])) for c in kept)]
        for row, texts in zip(rows, clean, strict=True):
            padded = [palette.paint(row[c].tone, texts[c]) + " " * (widths[c] - len(texts[c])) for c in kept]
            written.append("  ".join(padded).rstrip())
        written[0] = written[0].rstrip()
        return "\n".join(written) + "\n"

    def markdown(self) -> str:
        """A table of GitHub's Markdown."""
        if not self.rows:
            return f"{markdown(self.empty)}\n"
        lines = [f"| {' | '.join(h.capitalize() for h in self.headings)} |", "|---" * len(self.headings) + "|"]
        for row in self.rows:
            texts = [cell.text if isinstance(cell, Cell) else cell for cell in row]
            lines.append(f"| {' | '.join(markdown(text) for text in texts)} |")
        return "\n".join(lines) + "\n"

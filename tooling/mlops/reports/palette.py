"""Colour for terminals: six tones that name what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """What a colour means; the value is its SGR code (ECMA-48)."""

    DANGER = "31"
    GOOD = "32"
    CHANGE = "33"
    NOTE = "36"
    STRONG = "1"
    QUIET = "2"


@dataclass(frozen=True, slots=True)
class Palette:
    """Paints text, or leaves it alone.

    Attributes:
        colour: Whether the reader is a terminal that wants colour.
    """

    colour: bool = False

    def paint(self, tone: Tone | None, text: str) -> str:
        """The text in this tone."""
        return f"\x1b[{tone.value}m{text}\x1b[0m" if self.colour and tone is not None and text else text


PLAIN = Palette()

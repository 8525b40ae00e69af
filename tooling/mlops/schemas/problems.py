"""One problem in a document, before anybody has looked up its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

DocumentPath: TypeAlias = "tuple[str | int, ...]"
"""Where a value is within a document: keys and list positions from the root."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one value.

    Attributes:
        path: The value, or the mapping that should hold it.
        summary: Short and constant.
        detail: What is wrong, in sentences.
        todo: What to do about it.
        command: A command to copy, if one mends it.
        at_key: The key is wrong, not its value.
    """

    path: DocumentPath
    summary: str
    detail: str = ""
    todo: str = ""
    command: str = ""
    at_key: bool = False


def dotted(path: Sequence[str | int]) -> str:
    """Write a path for people: `deployments.blue.weights[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text

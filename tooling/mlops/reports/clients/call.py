"""One request to an endpoint, as every program makes it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from mlops.errors import Blocked, Diagnostic

KEY = "MLOPS_KEY"
"""The environment variable from which programs read a key or a token."""

_PRINTED = frozenset("\n\t")


@dataclass(frozen=True, slots=True)
class Call:
    """A request.

    Attributes:
        uri: Where to.
        body: JSON, or other text.
        guarded: Whether the endpoint asks who calls.
        obtain: The command that prints what opens it.
    """

    uri: str
    body: str
    guarded: bool = False
    obtain: str = ""


def body_text(content: bytes, source: str) -> str:
    """A request's body as text that means the same, and does nothing to a terminal.

    Args:
        content: The body.
        source: What it is, for the error.

    Raises:
        Blocked: It is no text that could stand in a program.
    """
    try:
        text = content.decode().strip().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise _no_text(source) from None
    if all(char.isprintable() or char in _PRINTED for char in text):
        return text
    try:
        return json.dumps(json.loads(text))
    except ValueError:
        raise _no_text(source) from None


def _no_text(source: str) -> Blocked:
    detail = f"{source} is no text, so it cannot stand in a program."
    return Blocked(Diagnostic("Sample request is not text", detail, todo="Declare one that is JSON in UTF-8."))

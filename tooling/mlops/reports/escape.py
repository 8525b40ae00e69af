"""Make text that comes from files or targets harmless where it is shown.

Control characters, line breaks, terminal sequences, characters that reorder or hide text, and markup are shown as what
they are instead of taking effect.
"""

from __future__ import annotations

import re

_MARKUP = re.compile(r"[\\`*_{}\[\]()#+!~$^]")
_LEADING = re.compile(r"^(\d*)([-=:.])")
_LINKED = re.compile(r"[@#](?=\w)|(?<=:)(?=//)|(?i:(?<=www)(?=\.))")
_SIMPLE = re.compile(r"(?! )[^`|\\]+(?<! )")
_ENTITIES = {ord(c): f"&#{ord(c)};" for c in "&<>|"}
_ALL_ENTITIES = {ord(c): f"&#{ord(c)};" for c in "&<>|\\`*_{}[]#!~$^"}


def plain(text: str) -> str:
    r"""One line without anything that does not print: `\n`, `\x1b`, `\u202e` are written so."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def lines(text: str) -> list[str]:
    """The lines of a text that may have several, each harmless by itself."""
    return [plain(line.expandtabs(4).rstrip()) for line in text.strip("\n").split("\n")]


def _unlinked(text: str) -> str:
    return _LINKED.sub(lambda found: f"{found[0]}&#8203;", text)


def markdown(text: str) -> str:
    """Prose that stays prose in Markdown, also in a table's cell: no markup, no mention of a user, no link.

    A mention is broken with a zero-width space, as Renovate does: GitHub looks for mentions after escapes are gone.
    """
    escaped = _MARKUP.sub(r"\\\g<0>", plain(text).strip().translate(_ENTITIES).replace("&#", "\0"))
    return _LEADING.sub(r"\1\\\2", _unlinked(escaped)).replace("\0", "&#")


def code(text: str) -> str:
    """A Markdown code span that holds the text whatever it holds, also in a table's cell."""
    content = plain(text)
    if _SIMPLE.fullmatch(content):
        return f"`{content}`"
    return f"<code>{content.translate(_ALL_ENTITIES)}</code>"


def html(text: str) -> str:
    """A code element where Markdown does not hold, such as in the summary of a folded part."""
    return f"<code>{plain(text).translate(_ALL_ENTITIES)}</code>"


def cut(text: str, limit: int) -> str:
    """At most so many characters, with an ellipsis where something is left out."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"

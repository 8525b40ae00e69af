"""Characters that no document may hold, and those that are hidden from a parser that knows only YAML 1.1.

The C parser is of YAML 1.1 and refuses `{model: fraud:4}`, where 1.2 reads the text "fraud:4". So colons and question
marks that 1.2 reads as parts of plain text are replaced by private characters, one for one so that columns stay, before
the text is parsed, and put back in every scalar.
"""

from __future__ import annotations

import re

FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Control characters, line breaks of YAML 1.1 only, and what shows a reviewer another order than a parser reads."""

_COLON, _QUESTION = "\uf8fe", "\uf8ff"
_PLAIN_COLON = re.compile(r"""(?<=[^\s"'\]},\[{]):(?=[^\s,\[\]{}])""")
_PLAIN_QUESTION = re.compile(r"""(?<=[^\s,\[{])\?|\?(?=[^\s,\[\]{}])""")
_UNMASK = str.maketrans({_COLON: ":", _QUESTION: "?"})


def mask(text: str) -> str:
    """Hide what only YAML 1.2 reads as text; a text that is all in block style has nothing to hide."""
    if ("{" not in text and "[" not in text) or _COLON in text or _QUESTION in text:
        return text
    return _PLAIN_QUESTION.sub(_QUESTION, _PLAIN_COLON.sub(_COLON, text))


def unmask(text: str) -> str:
    """Put back what was hidden."""
    return text.translate(_UNMASK) if _COLON in text or _QUESTION in text else text


def named(character: str) -> str:
    """A character as it can be shown."""
    return f"the character U+{ord(character):04X}"

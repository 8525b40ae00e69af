"""Keeps credentials out of logs: what looks like one is replaced, wherever it stands in a text."""

from __future__ import annotations

import re

HIDDEN = "[hidden]"
"""Stands for what was taken out."""

_SECRETS = (
    # A header, as text, as a dictionary's item or as JSON.
    re.compile(r"""(?i)(\b(?:proxy-)?authorization\\?["']?\s*[:=,]\s*\\?["']?)[^"'\\\r\n,;}\]]+"""),
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"),
    # Values of a query: Azure's function keys, shared access signatures, tokens.
    re.compile(
        r"(?i)([?&](?:code|key|api[_-]?key|subscription-key|token|access_token|sig|signature|password|secret)=)[^&\s\"'<>]+"
    ),
    # Connection strings.
    re.compile(r"(?i)(\b(?:InstrumentationKey|AccountKey|SharedAccessKey|SharedAccessSignature)=)[^;\s\"']+"),
)
_HINTS = re.compile(r"(?i)authorization|bearer|basic|[?&][^=&\s]{3,16}=|key=|signature=")


def redact(text: str) -> str:
    """The text without credentials."""
    if _HINTS.search(text) is None:
        return text
    for secret in _SECRETS:
        text = secret.sub(rf"\1{HIDDEN}", text)
    return text

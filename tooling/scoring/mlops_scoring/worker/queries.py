"""Queries and forms, decoded as Werkzeug does: what is not UTF-8 stays percent-encoded."""

from __future__ import annotations

import codecs
from urllib.parse import parse_qsl

_HANDLER = "mlops_scoring.percent"


def query_pairs(query: bytes) -> list[tuple[str, str]]:
    """Names and values in their order, blank ones too."""
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors=_HANDLER)


def form_pairs(body: bytes) -> list[tuple[str, str]]:
    """Fields of an HTML form; a body that is not UTF-8 has none."""
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors=_HANDLER)
    except UnicodeDecodeError:
        return []


def _keep_percent(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_HANDLER, _keep_percent)

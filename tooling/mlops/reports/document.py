"""The frame of every JSON report."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlops.resource import JSON

FORMAT = 1
"""Grows when a key goes away or changes its meaning; new keys do not make it grow."""


def document(kind: str, body: Mapping[str, JSON]) -> str:
    """One JSON document: `format`, `kind`, and what it says, in a stable order.

    It is ASCII: what does not print stays escaped, also where a terminal shows it.
    """
    return json.dumps({"format": FORMAT, "kind": kind, **body}, indent=2, ensure_ascii=True, allow_nan=False) + "\n"

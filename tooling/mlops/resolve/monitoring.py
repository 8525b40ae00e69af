"""Whether a deployment that is to send to Azure Monitor has what sends there."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mlops.schemas.problems import DocumentPath, Problem

_EXPORTER = "azure-monitor-opentelemetry-exporter"
_SENDING = frozenset({_EXPORTER, "azure-monitor-opentelemetry"})
"""Microsoft's exporter, and its distribution that depends on it."""

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def exporter_problem(path: DocumentPath, reference: str, requirements: Iterable[str]) -> Problem | None:
    """What is wrong with an environment in which nothing sends to Azure Monitor; None where something does.

    Args:
        path: Where `app_insights_enabled` is declared.
        reference: The environment: name:version.
        requirements: Its requirements, normalised.
    """
    names = {found[0].lower() for text in requirements if (found := _NAME.match(text))}
    if names & _SENDING:
        return None
    detail = f"Nothing in {reference} sends to Azure Monitor: its requirements lack {_EXPORTER}."
    todo = f"Add `{_EXPORTER}>=1.0.0b40` to those of its next version, lock that, and name it here; or remove the key."
    return Problem(path, "Environment has no exporter", detail, todo, at_key=True)

"""What was checked, when nothing is wrong, and how much is wrong otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mlops.errors import Diagnostic
from mlops.reports.document import document
from mlops.reports.escape import plain
from mlops.reports.values import plural
from mlops.resource import JSON


class Validation(Protocol):
    """A validation, as this report needs it."""

    @property
    def problems(self) -> Sequence[Diagnostic]:
        """Everything that is wrong."""

    @property
    def stages(self) -> Sequence[str]:
        """Names of the stages."""

    @property
    def models(self) -> int:
        """Versions of models."""

    @property
    def environments(self) -> int:
        """Versions of environments."""

    @property
    def endpoints(self) -> int:
        """Endpoints."""


def render_validation(found: Validation) -> str:
    """One line."""
    counts = (
        plural(found.models, "model version"),
        plural(found.environments, "environment version"),
        plural(found.endpoints, "endpoint"),
    )
    stages = f"{plural(len(found.stages), 'stage')} ({plain(', '.join(found.stages))})"
    verdict = f"{plural(len(found.problems), 'problem')} found" if found.problems else "Everything is valid"
    return f"{verdict}: {', '.join(counts)} in {stages}.\n"


def render_validation_json(found: Validation) -> str:
    """Counts; the problems are on standard error, one JSON object a line."""
    body: dict[str, JSON] = {
        "valid": not found.problems,
        "problems": len(found.problems),
        "stages": list(found.stages),
        "models": found.models,
        "environments": found.environments,
        "endpoints": found.endpoints,
    }
    return document("validation", body)

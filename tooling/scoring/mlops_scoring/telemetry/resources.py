"""Who sends telemetry, in the words of OpenTelemetry's semantic conventions."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mlops_scoring import __version__
from mlops_scoring.telemetry.spans import Attributes, AttributeValue


def merged_resource(own: Mapping[str, str], overrides: Mapping[str, str]) -> Attributes:
    """Attributes of a sender; what the user's variables say wins, and empty ones are left out."""
    common: dict[str, AttributeValue] = {
        "service.namespace": "mlops",
        "process.pid": os.getpid(),
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "mlops_scoring",
        "telemetry.sdk.version": __version__,
    }
    values: dict[str, AttributeValue] = {**common, **own, **overrides}
    return [(name, value) for name, value in values.items() if value != ""]

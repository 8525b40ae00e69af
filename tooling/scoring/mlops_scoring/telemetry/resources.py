"""Who sends telemetry, in the words of OpenTelemetry's semantic conventions."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from mlops_scoring import __version__
from mlops_scoring.telemetry.spans import Attributes

_INSTANCE = "service.instance.id"


def merged_resource(service: str, own: Mapping[str, str], overrides: Mapping[str, str]) -> Attributes:
    """Attributes of a sender; empty ones are left out.

    An endpoint's processes share the user's variables, so these say what service it is, and add what they like, but
    cannot make two processes one: https://opentelemetry.io/docs/specs/semconv/resource/service/ wants
    `service.instance.id` to be another for each, since the totals of two under one are no totals of anything.

    Args:
        service: Name of the service, unless the user gives another.
        own: What this process is, whatever the user says.
        overrides: The user's.
    """
    values = {
        "service.name": service,
        "service.namespace": "mlops",
        **overrides,
        _INSTANCE: f"{overrides.get(_INSTANCE) or socket.gethostname()}:{os.getpid()}",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "mlops_scoring",
        "telemetry.sdk.version": __version__,
        **own,
    }
    named: Attributes = [(name, value) for name, value in values.items() if value != ""]
    return [*named, ("process.pid", os.getpid())]

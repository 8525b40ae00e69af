"""A collector that speaks OTLP over HTTP."""

from __future__ import annotations

import time
from collections.abc import Sequence

from mlops_scoring.telemetry.export_settings import Destination
from mlops_scoring.telemetry.families import Family
from mlops_scoring.telemetry.otlp import encode_metrics, encode_traces
from mlops_scoring.telemetry.posting import Outcome, Poster
from mlops_scoring.telemetry.process import process_start
from mlops_scoring.telemetry.spans import Attributes, Span


class OtlpSink:
    """Encodes and posts; for spans or for metrics, used by one thread.

    All totals are said to be since the process began, when all were nothing; a later sink goes on with the series of an
    earlier one.

    Args:
        destination: Where to.
        resource: Who sends.
    """

    def __init__(self, destination: Destination, resource: Attributes) -> None:
        """Connect to nothing yet."""
        self._poster = Poster(destination)
        self._resource = resource

    def send_spans(self, spans: Sequence[Span], timeout: float) -> Outcome:
        """Send some spans."""
        return self._poster.post(encode_traces(self._resource, spans), timeout)

    def send_metrics(self, families: Sequence[Family], timeout: float) -> Outcome:
        """Send all values."""
        message = encode_metrics(self._resource, families, int(process_start() * 1e9), time.time_ns())
        return self._poster.post(message, timeout)

    def close(self) -> None:
        """End the connection."""
        self._poster.close()

"""What one endpoint says of itself: metrics on request, and telemetry that is sent."""

from __future__ import annotations

import os

from mlops_scoring.configuration import EndpointConfiguration
from mlops_scoring.gateway.gateway import Gateway
from mlops_scoring.supervisor.endpoint import Endpoint
from mlops_scoring.supervisor.front import Front
from mlops_scoring.supervisor.scraping import scrape_all
from mlops_scoring.telemetry.families import Family
from mlops_scoring.telemetry.gateway_metrics import gateway_families
from mlops_scoring.telemetry.gateway_telemetry import GatewayTelemetry


class Monitoring:
    """Reads what gateway, supervisor and workers counted.

    Args:
        gateway: Gets observers and a tracer.
        front: Has the gateway's figures.
        endpoint: Has the workers.
    """

    def __init__(self, gateway: Gateway, front: Front, endpoint: Endpoint) -> None:
        """Send nothing until `apply`."""
        self._gateway = gateway
        self._front = front
        self._endpoint = endpoint
        self._telemetry = GatewayTelemetry(gateway, self.families, os.environ)

    def apply(self, configuration: EndpointConfiguration) -> None:
        """Let a configuration's telemetry hold from the next request on."""
        self._telemetry.apply(configuration)

    def families(self) -> list[Family]:
        """The gateway's and the supervisor's values as they are now."""
        return gateway_families(self._front.figures(), self._endpoint.fleets(), self._gateway.traffic)

    async def exposition(self) -> bytes:
        """All values of the endpoint, its workers' included, in Prometheus' text format."""
        return await scrape_all(self.families(), self._endpoint.targets())

    def close(self) -> None:
        """Send what waits, in bounded time; not on the event loop."""
        self._telemetry.close()

"""Makes one endpoint what its configuration says, without losing a request on the way.

New deployments are started first. Traffic and aliases move, all at once, when every deployment that they are to reach
in another's place has all of its workers ready; until then the old ones serve, also those that the new configuration no
longer has. What is out of the route and out of the configuration then drains and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Mapping
from pathlib import Path

from mlops_scoring.configuration import EndpointConfiguration
from mlops_scoring.deployments import IN_PLACE
from mlops_scoring.documents import InvalidDocument
from mlops_scoring.gateway.gateway import Gateway
from mlops_scoring.supervisor.deployment import LiveDeployment
from mlops_scoring.supervisor.directory import Directory
from mlops_scoring.supervisor.logs import LogFiles
from mlops_scoring.supervisor.scraping import Target
from mlops_scoring.telemetry.gateway_metrics import Fleet

_log = logging.getLogger("mlops_scoring.supervisor")


class Endpoint:
    """Deployments and route of one endpoint.

    Args:
        gateway: Gets the route.
        directory: Where workers' files lie. The process's working directory must be it: socket paths are relative.
        logs: Takes the workers' output.
    """

    def __init__(self, gateway: Gateway, directory: Directory, logs: LogFiles) -> None:
        """Begin without a configuration."""
        self.configuration: EndpointConfiguration | None = None
        self._gateway = gateway
        self._directory = directory
        self._logs = logs
        self._live: dict[str, LiveDeployment] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._sequence = itertools.count(1)

    def check(self, configuration: EndpointConfiguration) -> None:
        """Compare a new configuration with what runs.

        Raises:
            InvalidDocument: It changes what cannot change.
        """
        current = self.configuration
        if current is None:
            return
        problems = [
            f"{field}: cannot change; it is {getattr(current, field)!r} for the life of this supervisor"
            for field in ("endpoint", "host", "port")
            if getattr(current, field) != getattr(configuration, field)
        ]
        for name, deployment in configuration.deployments.items():
            running = self._live.get(name)
            if running is not None and running.deployment.identity() != deployment.identity():
                problems.append(
                    f"deployments.{name}: only {' and '.join(IN_PLACE)} can change under one live name; "
                    "put the new content under a new name"
                )
        if problems:
            raise InvalidDocument(problems)

    def write(self, configuration: EndpointConfiguration) -> None:
        """Keep a configuration on disk, its workers' files first; may be called in a thread.

        Raises:
            OSError: The disk is full, for example; the old configuration is still the one that is kept.
        """
        live = {found.deployment.name: found for found in list(self._live.values())}  # the loop goes on meanwhile
        renewed = {name: found.deployment for name, found in live.items() if _is_renewed(found, configuration)}
        try:
            for name, deployment in configuration.deployments.items():
                if name not in live or name in renewed:
                    self._directory.write_worker_configuration(configuration.endpoint, deployment)
            self._directory.write(self._directory.configuration, configuration.document)
        except OSError:
            for deployment in renewed.values():  # what is started until somebody mends the disk is what was configured
                with contextlib.suppress(OSError):
                    self._directory.write_worker_configuration(configuration.endpoint, deployment)
            raise

    def apply(self, configuration: EndpointConfiguration) -> None:
        """Begin to make the endpoint like this, after `write`; returns at once."""
        for name, deployment in configuration.deployments.items():
            if name in self._live:
                if _is_renewed(self._live[name], configuration):
                    self._live[name].renew()
                self._live[name].resize(deployment)
            else:
                backend = self._gateway.add(name, deployment.request_settings)
                path = self._directory.worker_configuration(name).relative_to(self._directory.root)
                self._live[name] = LiveDeployment(deployment, backend, path, self._socket, self._logs, self._advance)
        self.configuration = configuration
        self._advance()

    def _socket(self) -> Path:
        return Path(self._directory.run.name, f"{next(self._sequence)}.sock")

    def _advance(self) -> None:
        """Switch the route when what it needs is ready; retire what nobody needs."""
        configuration = self.configuration
        if configuration is None:
            return
        traffic, aliases = self._gateway.traffic, self._gateway.aliases
        reached = {*_weighted(traffic), *aliases.values()}
        moved = {live for name, live in configuration.aliases.items() if aliases.get(name, live) != live}
        awaited = (_weighted(configuration.traffic) | moved) - reached
        if not reached or all(self._live[name].complete for name in awaited):
            if self._gateway.switch(configuration.traffic, configuration.aliases, configuration.mirror_traffic):
                _log.info("traffic: %s; mirrored: %s", dict(configuration.traffic), dict(configuration.mirror_traffic))
            reached = {*_weighted(configuration.traffic), *configuration.aliases.values()}
        for name in [name for name in self._live if name not in configuration.deployments and name not in reached]:
            self._retire(name)

    def _retire(self, name: str) -> None:
        leaving = self._live.pop(name)
        self._gateway.remove(leaving.backend)
        _log.info("%s is leaving", name)
        task = asyncio.create_task(self._finish(leaving))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _finish(self, leaving: LiveDeployment) -> None:
        await leaving.retire()
        if leaving.deployment.name not in self._live:
            self._directory.worker_configuration(leaving.deployment.name).unlink(missing_ok=True)
        _log.info("%s has left", leaving.deployment.name)

    @property
    def longest_seconds(self) -> float:
        """How long any request may take that its deployment has taken on."""
        settings = [live.deployment.request_settings for live in self._live.values()]
        return max(((found.request_timeout_ms + found.max_queue_wait_ms) / 1000 for found in settings), default=0.0)

    async def stop(self) -> None:
        """End all workers; the listener must have been drained."""
        for name in list(self._live):
            self._retire(name)
        await asyncio.gather(*self._retiring, return_exceptions=True)

    def fleets(self) -> dict[str, Fleet]:
        """Workers of each live name, in numbers."""
        return {name: live.fleet() for name, live in self._live.items()}

    def targets(self) -> list[Target]:
        """Where all workers answer scrapes."""
        return [target for live in self._live.values() for target in live.targets()]

    def report(self) -> dict[str, object]:
        """Deployments of the configuration, and what is still on its way."""
        configuration = self.configuration
        names = configuration.deployments if configuration is not None else {}
        return {
            "configuration": configuration.document if configuration is not None else None,
            "deployments": {name: self._live[name].report() for name in names},
            "traffic_in_force": dict(self._gateway.traffic),
            "mirror_traffic_in_force": dict(self._gateway.mirror_traffic),
            "settled": not self._retiring
            and set(self._live) == set(names)
            and not any(live.renewing for live in self._live.values())
            and configuration is not None
            and self._gateway.traffic == configuration.traffic
            and self._gateway.aliases == configuration.aliases
            and self._gateway.mirror_traffic
            == {name: percent for name, percent in configuration.mirror_traffic.items() if percent},
            "log_writes_lost": self._logs.lost,
        }


def _is_renewed(live: LiveDeployment, configuration: EndpointConfiguration) -> bool:
    """Whether a configuration gives a deployment's workers what they know from their start only."""
    wanted = configuration.deployments.get(live.deployment.name)
    return wanted is not None and wanted.telemetry != live.deployment.telemetry


def _weighted(traffic: Mapping[str, int]) -> set[str]:
    return {name for name, weight in traffic.items() if weight}

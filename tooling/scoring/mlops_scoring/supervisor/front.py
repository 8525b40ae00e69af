"""The side of an endpoint that clients meet: its address, its TLS, its guard, its limits."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from dataclasses import replace
from pathlib import Path

from mlops_scoring.configuration import EndpointConfiguration
from mlops_scoring.documents import InvalidDocument
from mlops_scoring.gateway.figures import GatewayFigures
from mlops_scoring.gateway.gateway import Gateway
from mlops_scoring.supervisor.credentials import CredentialStore, KeyType
from mlops_scoring.supervisor.descriptors import allow_connections
from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.server import Listener
from mlops_scoring.wire.tls import POLL_SECONDS, BadCertificate, Certificate, TlsListener, load_context

_BACKLOG = 2048
_log = logging.getLogger("mlops_scoring.supervisor")


class PortTaken(Exception):
    """The address cannot be listened on."""


class Front:
    """Lets clients in.

    Args:
        gateway: Answers them.
        credentials: The endpoint's secrets.
        configuration: What holds at first.

    Raises:
        InvalidDocument: The certificate cannot be used.
    """

    def __init__(self, gateway: Gateway, credentials: CredentialStore, configuration: EndpointConfiguration) -> None:
        """Load the certificate; nothing listens yet."""
        self.credentials = credentials
        self.certificate: Certificate | None = None
        self._gateway = gateway
        self._changing = asyncio.Lock()
        self._configuration = configuration
        self._listener = Listener(
            gateway.handle, Limits(), admit=gateway.admit, streaming=True, refused=gateway.refused
        )
        self._tls: TlsListener | None = None
        self._server: asyncio.Server | None = None
        self._watching: asyncio.Task[None] | None = None
        if configuration.tls is not None:
            try:
                self.certificate = Certificate(Path(configuration.tls.certificate), Path(configuration.tls.key))
            except BadCertificate as bad:
                raise InvalidDocument([f"tls: {bad}"]) from None
            self._tls = TlsListener(self._listener, self.certificate)
        self.apply(configuration)

    async def listen(self) -> None:
        """Take connections.

        Raises:
            PortTaken: The port is not to be had.
        """
        loop = asyncio.get_running_loop()
        host, port = self._configuration.host, self._configuration.port
        try:
            if self._tls is not None:
                self._tls.listen(host, port, _BACKLOG)
            else:
                self._server = await loop.create_server(
                    self._listener, host, port, backlog=_BACKLOG, reuse_address=True
                )
        except OSError as error:
            text = "is taken by another program" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
            raise PortTaken(f"port {port} on {host} {text}") from None
        if self.certificate is not None:
            self._watching = asyncio.create_task(self._watch(self.certificate))

    async def _watch(self, certificate: Certificate) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            certificate.reload_if_changed()

    def check(self, configuration: EndpointConfiguration) -> None:
        """Look whether a new configuration can be applied.

        Raises:
            InvalidDocument: It turns TLS on or off, or names a certificate that cannot be used.
        """
        tls, current = configuration.tls, self._configuration.tls
        if (tls is None) != (current is None):
            raise InvalidDocument(["tls: cannot be turned on or off for the life of this supervisor"])
        if tls is not None and tls != current:
            try:
                load_context(Path(tls.certificate), Path(tls.key))
            except BadCertificate as bad:
                raise InvalidDocument([f"tls: {bad}"]) from None

    def apply(self, configuration: EndpointConfiguration) -> None:
        """Let a configuration, which was checked, hold for requests and connections that come from now on."""
        self._configuration = configuration
        wanted = configuration.limits.connections
        connections = allow_connections(wanted)
        if connections < wanted:
            _log.warning("the limit of open files allows %d connections of clients, not %d", connections, wanted)
        self._listener.limits = replace(configuration.limits, connections=connections)
        self._gateway.guard = self.credentials.guard(configuration.auth.mode, configuration.endpoint)
        if self.certificate is not None and configuration.tls is not None:
            self.certificate.point_to(Path(configuration.tls.certificate), Path(configuration.tls.key))
            self.certificate.reload_if_changed()

    async def regenerate(self, key_type: KeyType, *, revoke: bool) -> None:
        """Make one secret anew; requests under way have passed already.

        Raises:
            TooSoon: As `CredentialStore.regenerate` says.
            OSError: The disk refuses it.
        """
        async with self._changing:
            seconds = self._configuration.auth.token_seconds
            await asyncio.to_thread(self.credentials.regenerate, key_type, seconds, revoke=revoke)
            self._gateway.guard = self.credentials.guard(self._configuration.auth.mode, self._configuration.endpoint)

    async def issue_token(self) -> dict[str, object]:
        """A new token, as the admin interface answers it."""
        async with self._changing:
            found = self._configuration
            token = await asyncio.to_thread(self.credentials.issue, found.endpoint, found.auth.token_seconds)
        return {"token": token.text, "expires_at": token.expires_at, "refresh_after": token.refresh_after}

    async def close(self, delay: float, seconds: float) -> None:
        """Stop: say that the endpoint is not ready, go on for a while, then answer what is under way.

        Args:
            delay: Seconds in which further connections are taken, because not everybody has heard yet.
            seconds: How long requests under way may take.
        """
        self._gateway.draining = self._listener.leaving = True
        await asyncio.sleep(delay)
        if self._server is not None:
            self._server.close()
        if self._tls is not None:
            self._tls.close()
            self._tls.abandon()
        await self._listener.drain(seconds)
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    def figures(self) -> GatewayFigures:
        """What was counted since the supervisor began."""
        listener = self._listener
        return GatewayFigures(
            refusals=listener.refusals + self._gateway.refusals,
            connections=len(listener.connections) + listener.handshaking,
            connections_refused=listener.connections_refused,
            handshakes_failed=0 if self._tls is None else self._tls.failed,
            buffered_bytes=listener.buffered.size,
            deployments=self._gateway.figures(),
        )

    def report(self) -> dict[str, object]:
        """What the status says of it."""
        return {
            "auth": {"mode": self._configuration.auth.mode},
            "tls": None if self.certificate is None else self.certificate.report(),
        }

"""TLS before a listener, with a certificate that can be replaced while it serves.

Connections are accepted in the clear and then agree on TLS with the certificate that is current at that moment, so that
a new one needs no restart and disturbs no connection; and those that do not get so far in time are counted and closed.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
import ssl
import time
from pathlib import Path

from mlops_scoring.wire.server import Listener

POLL_SECONDS = 1.0
"""How often the files are looked at; those of a Kubernetes secret change by the exchange of a symbolic link."""

_SHUTDOWN_SECONDS = 5.0
_AT_ONCE = 100
"""Connections that are accepted before others are served again."""

_PAUSE_SECONDS = 1.0
"""Until connections are taken again after the system refused one, for example because files ran out."""

_log = logging.getLogger("mlops_scoring.supervisor")


class BadCertificate(Exception):
    """Certificate and key cannot be used; the message says why in one line."""


def load_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's context: TLS 1.2 or later, no renegotiation, HTTP/1.1.

    Raises:
        BadCertificate: A file cannot be read, is not PEM, has a passphrase, or the two do not belong together.
    """

    def refuse_passphrase() -> str:
        message = "the key has a passphrase"
        raise BadCertificate(message)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, refuse_passphrase)
    except ssl.SSLError as error:
        raise BadCertificate(f"{certificate} and {key} cannot be used: {error.reason or error}") from None
    except OSError as error:
        raise BadCertificate(f"{certificate} and {key} cannot be read: {error.strerror}") from None
    return context


class Certificate:
    """A certificate and its key, and the context made of them.

    Args:
        certificate: File with the certificate and its chain.
        key: File with the key.

    Attributes:
        context: What new connections get.
        loaded: When it was made, in seconds since the epoch.
        problem: Why the files as they are now cannot be used; None while they can.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load the files.

        Raises:
            BadCertificate: They cannot be used.
        """
        self._paths = (certificate, key)
        self._seen = self._look()
        self.context = load_context(certificate, key)
        self.fingerprint = _fingerprint(certificate)
        self.loaded = time.time()
        self.problem: str | None = None

    def point_to(self, certificate: Path, key: Path) -> None:
        """Use other files from now on."""
        if self._paths != (certificate, key):
            self._paths = (certificate, key)
            self.reload()

    def reload_if_changed(self) -> None:
        """Load the files again if they are others than last time, or could not be used then."""
        if self.problem is not None or self._look() != self._seen:
            self.reload()

    def reload(self) -> bool:
        """Load the files again; whatever is wrong with them, the context stays usable.

        Returns:
            Whether they could be used.
        """
        self._seen = self._look()
        try:
            context = load_context(*self._paths)
            fingerprint = _fingerprint(self._paths[0])
        except BadCertificate as bad:
            if self.problem != str(bad):
                _log.warning("the certificate stays as it was: %s", bad)
            self.problem = str(bad)
            return False
        self.context = context
        if fingerprint != self.fingerprint or self.problem is not None:
            _log.info("serving the certificate with sha256 %s", fingerprint)
        self.fingerprint, self.problem, self.loaded = fingerprint, None, time.time()
        return True

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_identity(path) for path in self._paths)

    def report(self) -> dict[str, object]:
        """What the status says of it."""
        return {"sha256": self.fingerprint, "loaded": self.loaded, "problem": self.problem}


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _fingerprint(certificate: Path) -> str:
    """The sha256 of the first certificate, as browsers and `openssl x509 -fingerprint` show it."""
    try:
        text = certificate.read_text(encoding="ascii", errors="replace")
        first = text[text.index(ssl.PEM_HEADER) : text.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)]
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()
    except (OSError, ValueError) as error:
        raise BadCertificate(f"{certificate} cannot be read: {error}") from None


class TlsListener:
    """Takes connections and agrees with each on TLS before a listener hears of it.

    Sockets are accepted here and not by the event loop: uvloop begins to read a connection that it accepted before
    anybody can tell it what follows, and what it reads then is lost to the handshake.

    Args:
        listener: Gets the connections that have agreed on TLS.
        certificate: What they are offered.

    Attributes:
        failed: Connections that never came about: no TLS, no common version, not in time.
    """

    def __init__(self, listener: Listener, certificate: Certificate) -> None:
        """Begin without connections."""
        self.failed = 0
        self._listener = listener
        self._certificate = certificate
        self._handshakes: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None

    def listen(self, host: str, port: int, backlog: int) -> None:
        """Take connections.

        Raises:
            OSError: The address is not to be had.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=backlog)
        self._socket.setblocking(False)
        self._listener.loop.add_reader(self._socket, self._accept, self._socket)

    def close(self) -> None:
        """Take no more connections."""
        if self._socket is not None:
            self._listener.loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                _log.exception("no connection can be taken for a moment")
                self._listener.loop.remove_reader(listening)
                self._listener.loop.call_later(_PAUSE_SECONDS, self._resume, listening)
                return
            connection.setblocking(False)
            self._open(connection)

    def _resume(self, listening: socket.socket) -> None:
        if self._socket is listening:
            self._listener.loop.add_reader(listening, self._accept, listening)

    def _open(self, connection: socket.socket) -> None:
        """Agree on TLS with a new connection, unless there are too many."""
        if self._listener.crowded or self._listener.draining:
            self._listener.connections_refused += 1
            connection.close()
            return
        self._listener.handshaking += 1
        task = self._listener.loop.create_task(self._shake_hands(connection))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, accepted: socket.socket) -> None:
        early = _Early()
        try:
            secured, _ = await self._listener.loop.connect_accepted_socket(
                lambda: early,
                accepted,
                ssl=self._certificate.context,
                ssl_handshake_timeout=self._listener.limits.head_seconds,
                ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
            )
        except (OSError, ValueError, asyncio.CancelledError):  # ssl.SSLError and TimeoutError are kinds of OSError
            self.failed += 1
            accepted.close()
            return
        finally:
            self._listener.handshaking -= 1
        if early.over:
            self.failed += 1
            secured.abort()
            return
        connection = self._listener()
        secured.set_protocol(connection)
        connection.connection_made(secured)
        if early.data and not secured.is_closing():
            connection.data_received(early.data)

    def abandon(self) -> None:
        """End the connections that have not agreed on TLS yet."""
        for task in list(self._handshakes):
            task.cancel()


class _Early(asyncio.Protocol):
    """Keeps what comes together with the end of the handshake, before anybody could be told of that."""

    def __init__(self) -> None:
        self.data = b""
        self.over = False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.over = True

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.over = True

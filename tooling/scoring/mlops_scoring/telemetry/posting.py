"""One message to a collector, by HTTP/1.1."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from mlops_scoring import __version__
from mlops_scoring.telemetry.export_settings import Destination

_RETRIED = frozenset({429, 502, 503, 504})
_MAX_ANSWER = 64 * 1024
_LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message.

    Attributes:
        problem: None when the collector has it; otherwise why not, without credentials.
        again: Whether the same message may be sent again later.
        wait: Seconds that the collector asks to be left alone.
    """

    problem: str | None = None
    again: bool = False
    wait: float = 0


class Poster:
    """Posts to one address over a connection that is kept; used by one thread."""

    def __init__(self, destination: Destination) -> None:
        """Know the address; nothing is connected."""
        self._destination = destination
        parts = urlsplit(destination.url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, timeout: float) -> Outcome:
        """Send one message and read the answer; redirects are not followed."""
        timeout = min(timeout, self._destination.timeout)
        headers = {
            **self._destination.headers,
            "Content-Type": "application/x-protobuf",
            "User-Agent": f"mlops-scoring/{__version__}",
        }
        if self._destination.compress:
            body = gzip.compress(body, 6)
            headers["Content-Encoding"] = "gzip"
        kept = self._connection is not None
        try:
            return self._exchange(body, headers, timeout)
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            self.close()
            if not kept:
                return _failure(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return _failure(error)
        try:  # a collector closes connections that are idle; that one was
            return self._exchange(body, headers, timeout)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return _failure(error)

    def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def _exchange(self, body: bytes, headers: dict[str, str], timeout: float) -> Outcome:
        if self._connection is None:
            self._connection = self._connect(timeout)
        connection = self._connection
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        connection.request("POST", self._target, body, headers)
        response = connection.getresponse()
        response.read(_MAX_ANSWER)
        if response.will_close or not response.isclosed():
            self.close()
        if response.status // 100 == 2:
            return Outcome()
        wait = _seconds(response.headers.get("Retry-After", ""))
        return Outcome(f"the collector answered {response.status}", response.status in _RETRIED, wait)

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        trust = ssl.create_default_context(cafile=self._destination.certificate)
        if self._destination.client_certificate:
            trust.load_cert_chain(self._destination.client_certificate, self._destination.client_key)
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=trust)


def _failure(error: Exception) -> Outcome:
    return Outcome(f"the collector cannot be reached: {type(error).__name__}", again=True)


def _seconds(header: str) -> float:
    return min(float(header), _LONGEST_WAIT) if header.isdigit() else 0.0

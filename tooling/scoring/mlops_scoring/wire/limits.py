"""Bounds on what one client, and all clients together, may make the gateway hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a listener; sizes in bytes, times in seconds.

    Attributes:
        head_bytes: Request line and headers of one request (431).
        headers: Number of headers of one request (431).
        target_bytes: Length of a request target (414).
        body_bytes: Body of one request (413); Azure ML's own largest is 100 MB on Kubernetes, 1.5 MB managed.
        buffered_bytes: Bodies of all requests together, as far as they are held (503).
        stream_bytes: Bodies above this are passed on as they come, where the listener streams; smaller ones are held
            until they are whole.
        connections: Open client connections, those in their TLS handshake included; further ones are closed at once.
        head_seconds: From the first byte of a request to the end of its headers (408); also for a TLS handshake.
        body_seconds: From the end of the headers to the end of the body, without the time when we do not read (408).
        idle_seconds: A connection on which nothing happens is closed after this.
        slowest_rate: Bytes a second, over any `rate_seconds`, below which a client that sends its body gets 408, and
            one that reads its answer is cut off. nginx and Apache have 500 (mod_reqtimeout, `MinRate`).
        rate_seconds: Time over which the rate is measured.
    """

    head_bytes: int = 32 * 1024
    headers: int = 100
    target_bytes: int = 8 * 1024
    body_bytes: int = 64 * 1024 * 1024
    buffered_bytes: int = 256 * 1024 * 1024
    stream_bytes: int = 1024 * 1024
    connections: int = 2048
    head_seconds: float = 10
    body_seconds: float = 120
    idle_seconds: float = 75
    slowest_rate: int = 500
    rate_seconds: float = 10

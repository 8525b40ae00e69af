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
        buffered_bytes: Bodies of all requests together (503).
        connections: Open client connections; further ones are closed at once.
        head_seconds: From the first byte of a request to the end of its headers (408).
        body_seconds: From the end of the headers to the end of the body (408).
        idle_seconds: A connection on which nothing happens is closed after this.
    """

    head_bytes: int = 32 * 1024
    headers: int = 100
    target_bytes: int = 8 * 1024
    body_bytes: int = 64 * 1024 * 1024
    buffered_bytes: int = 256 * 1024 * 1024
    connections: int = 2048
    head_seconds: float = 10
    body_seconds: float = 120
    idle_seconds: float = 75

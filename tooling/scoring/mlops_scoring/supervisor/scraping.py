"""Metrics of a whole endpoint: the gateway's own and every worker's, joined; a worker that hangs is left out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_scoring.telemetry.exposition import render
from mlops_scoring.telemetry.families import Family, Point
from mlops_scoring.telemetry.joining import MAX_BYTES, Joined

SCRAPE_SECONDS = 2.0
"""How long a worker may take to say what it counted."""

_REQUEST = b"GET /metrics HTTP/1.1\r\nhost: scrape\r\nconnection: close\r\n\r\n"
_OK = b"HTTP/1.1 200 "


@dataclass(frozen=True, slots=True)
class Target:
    """A worker's admin side.

    Attributes:
        deployment: Its live name.
        worker: Its number among the deployment's workers.
    """

    deployment: str
    worker: int
    socket: Path


async def scrape_all(own: Iterable[Family], targets: Sequence[Target]) -> bytes:
    """The whole endpoint's metrics, in Prometheus' text format."""
    texts = await asyncio.gather(*(_scrape(target.socket) for target in targets))
    answered = tuple(
        Point((("deployment", target.deployment), ("worker", str(target.worker))), int(text is not None))
        for target, text in zip(targets, texts, strict=True)
    )
    joined = Joined()
    joined.add(render([*own, Family("mlops_worker_up", "gauge", "Whether it answered this scrape.", answered)]))
    for target, text in zip(targets, texts, strict=True):
        if text is not None:
            joined.add(text, (("deployment", target.deployment), ("worker", str(target.worker))))
            await asyncio.sleep(0)  # requests of clients first
    return joined.text()


async def _scrape(socket: Path) -> bytes | None:
    try:
        async with asyncio.timeout(SCRAPE_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(_REQUEST)
                answer = bytearray()
                while len(answer) <= MAX_BYTES and (piece := await reader.read(65536)):
                    answer += piece
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return None
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    return body if head.startswith(_OK) else None

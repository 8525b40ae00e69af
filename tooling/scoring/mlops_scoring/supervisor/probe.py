"""Probes: a worker is asked `GET /` on its socket, as Azure ML's liveness and readiness probes ask."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from mlops_scoring.configuration import Probe
from mlops_scoring.supervisor.descriptors import OURS

_REQUEST = b"GET / HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n"


async def is_well(socket: str, seconds: float) -> bool | None:
    """Whether the worker answers 200 within so many seconds; None where it could not be asked, for want of files."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(_REQUEST)
                line = await reader.readline()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        return None if error.errno in OURS else False
    return line.startswith(b"HTTP/1.1 200 ")


def _always() -> bool:
    return True


async def verdicts(probe: Probe, socket: str, claim: Callable[[], bool] = _always) -> AsyncIterator[bool | None]:
    """Probe for ever, from now on.

    Args:
        probe: How often, how long, how many times.
        socket: The worker's socket.
        claim: What else has to hold for a probe to succeed.

    Yields:
        After each probe: True once `success_threshold` in a row succeeded, False once `failure_threshold` in a row
        failed, None while neither is so, or where it could not be asked.
    """
    await asyncio.sleep(probe.initial_delay)
    successes = failures = 0
    while True:
        well = await is_well(socket, probe.timeout)
        if well is not None:
            successes, failures = (successes + 1, 0) if well and claim() else (0, failures + 1)
        if well is None:
            yield None
        elif successes >= probe.success_threshold:
            yield True
        elif failures >= probe.failure_threshold:
            yield False
        else:
            yield None
        await asyncio.sleep(probe.period)

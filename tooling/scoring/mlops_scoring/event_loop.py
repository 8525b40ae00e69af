"""The event loop of every program here: uvloop where it is installed."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import Callable


def runner() -> asyncio.Runner:
    """A runner with the quickest loop that there is; enter it and call `run`."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if importlib.util.find_spec("uvloop") is not None:
        factory = importlib.import_module("uvloop").new_event_loop
    return asyncio.Runner(loop_factory=factory)

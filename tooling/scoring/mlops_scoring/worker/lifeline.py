"""A worker's ties to its supervisor: it tells when it is ready, and it dies when the supervisor does."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1
_MAX_REASON = 500


def follow(lifeline: int | None) -> None:
    """End this process when its supervisor ends.

    On Linux the kernel does it, however busy the process is. The pipe, whose other end only the supervisor holds,
    covers a supervisor that died before this call, and other systems.

    Args:
        lifeline: File descriptor of the pipe's reading end; None for a worker without a supervisor.
    """
    if lifeline is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(lifeline,), name="lifeline", daemon=True).start()


def _watch(lifeline: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(lifeline, 1):
            pass
    os._exit(1)


class Announcer:
    """Tells the supervisor what became of the start, one JSON line an event.

    Args:
        status: File descriptor to write to; None for a worker without a supervisor.
    """

    def __init__(self, status: int | None) -> None:
        """Know where to write."""
        self._status = status

    def ready(self) -> None:
        """The worker listens and the model is loaded."""
        self._write({"event": "ready"})

    def failed(self, reason: str) -> None:
        """The worker cannot start.

        Args:
            reason: One line; longer texts are cut.
        """
        line = " ".join(reason.split())
        self._write({"event": "failed", "reason": line[:_MAX_REASON]})

    def _write(self, event: dict[str, str]) -> None:
        if self._status is None:
            return
        # A supervisor that no longer reads is one that no longer lives.
        with contextlib.suppress(OSError):
            os.write(self._status, json.dumps(event).encode() + b"\n")
            os.close(self._status)
        self._status = None

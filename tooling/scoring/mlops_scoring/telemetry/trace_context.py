"""W3C trace context, level 1: who asked, and whether what happens is to be recorded (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from contextvars import ContextVar
from typing import NamedTuple

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MAX_STATE = 512
_STATE = re.compile(rb"[\x20-\x7e\t]*")
_ids = random.Random()  # noqa: S311 - ids are no secrets; the module's own generator may be seeded by a script


class TraceContext(NamedTuple):
    """One span, as others name it.

    Attributes:
        trace_id: Not zero.
        span_id: Not zero.
        sampled: Whether it is recorded.
        state: The header `tracestate` as it came, or nothing.
    """

    trace_id: int
    span_id: int
    sampled: bool
    state: str = ""

    @property
    def traceparent(self) -> bytes:
        """The header that names this span as the parent."""
        return b"00-%032x-%016x-%02x" % (self.trace_id, self.span_id, self.sampled)


TRACE: ContextVar[TraceContext | None] = ContextVar("mlops_scoring_trace", default=None)
"""The worker's span of the request that the calling thread works for."""


def read_trace_context(headers: Sequence[tuple[bytes, bytes]]) -> TraceContext | None:
    """The caller's span; None where it names none, or in a form that is not to be trusted.

    Args:
        headers: Names in lower case. A `traceparent` that is there twice counts as none.
    """
    parent: bytes | None = None
    states: list[bytes] = []
    for name, value in headers:
        if name == b"traceparent":
            if parent is not None:
                return None
            parent = value
        elif name == b"tracestate":
            states.append(value)
    if parent is None:
        return None
    found = _TRACEPARENT.fullmatch(parent)
    if found is None:
        return None
    version, trace, span, flags, rest = found.groups()
    if version == b"ff" or (version == b"00" and rest):
        return None
    trace_id, span_id = int(trace, 16), int(span, 16)
    if not trace_id or not span_id:
        return None
    state = b",".join(states)
    usable = len(state) <= _MAX_STATE and _STATE.fullmatch(state)
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & 1), state.decode("ascii") if usable else "")


def new_trace_id() -> int:
    """A random trace id, whose last 56 bits are what samplers by ratio look at."""
    return _ids.getrandbits(128) or 1


def new_span_id() -> int:
    """A random span id."""
    return _ids.getrandbits(64) or 1

"""What hears of the requests that pass through the gateway: spans, access logs."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from mlops_scoring.wire.messages import Headers, Request


class Exchanged(NamedTuple):
    """One request that was passed on, or refused; a tuple, because one is made for each.

    Attributes:
        deployment: Live name of the deployment that answered; empty where there was none.
        request: The request as the worker got it; its body may be gone. What was read of it where it was refused: then
            it may be without a method, and its target a part of one or none.
        status: What the client got; 499 where it had left.
        started: When the gateway had the request, in seconds since the epoch.
        seconds: From then until the answer was written.
        waited: Seconds of it without a worker.
        mirrored: A copy whose answer was discarded.
        request_id: The answer's `x-request-id`; empty where there is none.
        trace: What the tracer's `begin` returned for this request.
        received: Bytes of the request's body.
        sent: Bytes of the answer's body.
        refusal: Why no deployment got it, in words of ours alone; empty where one did. Times are not known then.
    """

    deployment: str
    request: Request
    status: int
    started: float
    seconds: float
    waited: float
    mirrored: bool
    request_id: str
    trace: object
    received: int
    sent: int
    refusal: str = ""


def request_identity(headers: Headers) -> str:
    """The `x-request-id` of an answer; empty where there is none."""
    return next((value for name, value in headers if name == b"x-request-id"), b"").decode("latin-1")


class Observer(Protocol):
    """Hears of each exchange on the event loop, after the answer was written; it must neither block nor raise."""

    def exchanged(self, exchanged: Exchanged) -> None:
        """One request was answered or given up."""

    def close(self) -> None:
        """The gateway ends: send what is not sent yet. Called once, not on the event loop."""


class Tracer(Protocol):
    """Begins a span for each request."""

    def begin(self, request: Request) -> object:
        """Replace the request's `traceparent` by one that names the gateway's span; the request is not yet sent.

        Returns:
            What `Exchanged.trace` is to be.
        """

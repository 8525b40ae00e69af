"""What the web side of a worker and the model side say to each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

HeaderList = list[tuple[str, str]]
"""Header names and values of a response."""

SCRIPT_FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL_ERROR = "An unexpected internal error occurred. Check the logs for more info."


@dataclass(frozen=True, slots=True)
class ScoringRequest:
    """One request, complete.

    Attributes:
        headers: Names in lower case.
        request_id: What the answer's `x-request-id` says.
    """

    method: str
    path: str
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    request_id: str = ""

    def header(self, name: bytes) -> str:
        """The first value of a header, or nothing."""
        return next((value.decode("latin-1") for found, value in self.headers if found == name), "")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response.

    Attributes:
        run_function_failed: What `x-ms-run-function-failed` says; None leaves the header out.
        milliseconds: How long `run()` took; None when it was not called.
        stream: The body's pieces where they are made one after another; `body` is empty then.
    """

    status: int
    body: bytes
    headers: HeaderList = field(default_factory=list)
    run_function_failed: bool | None = False
    milliseconds: float | None = None
    stream: Iterator[bytes] | None = None


class Unfit(Exception):
    """A request that cannot be given to the model; the answer says why.

    Attributes:
        status: 400, or 405 and 415 for the wrong method and content type.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        """Keep what is wrong, and the status that says so."""
        super().__init__(message)
        self.status = status


class StartFailed(Exception):
    """The model cannot be served; the message is one line for the deployment's state."""


@dataclass(frozen=True, slots=True)
class Schema:
    """Input and output schemas for swagger.

    Attributes:
        versions: The swagger versions that can express them.
    """

    input: Mapping[str, object]
    output: Mapping[str, object]
    versions: frozenset[str] = frozenset({"2", "2.0", "3", "3.0", "3.1"})


ANY_SCHEMA = Schema({"type": "object", "example": {}}, {"type": "object", "example": {}})
"""What swagger says of a script without schema decorators."""


class Scorer(Protocol):
    """A model that is ready. Both methods run in a thread of their own."""

    def score(self, request: ScoringRequest) -> Answer:
        """Answer one request.

        Raises:
            Unfit: The request is the client's mistake.
        """

    def schema(self) -> Schema:
        """What it takes and gives."""


def json_answer(status: int, value: object, *, failed: bool = False, milliseconds: float | None = None) -> Answer:
    """A JSON response.

    Raises:
        TypeError: The value is not JSON.
    """
    body = json.dumps(value).encode()
    return Answer(status, body, [("content-type", "application/json")], failed, milliseconds)


def error_answer(status: int, message: str, *, failed: bool = False, milliseconds: float | None = None) -> Answer:
    """An error in the form that Azure ML's server gives it."""
    return json_answer(status, {"message": message}, failed=failed, milliseconds=milliseconds)

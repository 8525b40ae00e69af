"""Talking to supervisors: HTTP/1.1 with JSON over UNIX sockets.

Asking many at once is written on plain sockets, because it happens in every plan and a general client takes longer to
import than the answers take to come.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlops.drivers.local.home import Home
from mlops.errors import Diagnostic, TargetError
from mlops.resource import JSON, canonical

PATIENCE = 5.0
"""Seconds within which a supervisor says how it is; it never waits for workers to say so."""

CHANGE = 30.0
"""Seconds within which a supervisor takes a new configuration."""

_ASK = b"GET %s HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n"
_CHUNK = 1 << 16
_BAD_REQUEST = 400

STILL_SERVES = "What served before still serves. Mend what it says, and apply again."
"""What to do after a refusal."""


@dataclass(slots=True)
class _Call:
    home: Home
    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)


def statuses(homes: Sequence[Home]) -> dict[str, Mapping[str, JSON] | None]:
    """Ask all supervisors at once how they are.

    Returns:
        By the endpoint's name: what it said; None where it lives but said nothing intelligible in time. Those that are
        gone are left out.
    """
    return {name: None if said is None else _parse(said) for name, said in _ask_all(homes, b"/status").items()}


def metrics(homes: Sequence[Home]) -> dict[str, str]:
    """Ask all supervisors at once what they and their workers have counted.

    Returns:
        By the endpoint's name: Prometheus' text. Those that are gone or do not answer in time are left out.
    """
    answers = _ask_all(homes, b"/metrics")
    return {name: said.decode(errors="replace") for name, said in answers.items() if said is not None}


def _ask_all(homes: Sequence[Home], path: bytes) -> dict[str, bytes | None]:
    answers: dict[str, bytes | None] = {}
    with selectors.DefaultSelector() as selector:
        for home in homes:
            try:
                connection = _ask(home, path)
            except TimeoutError:
                answers[home.name] = None
            except OSError:
                continue
            else:
                answers[home.name] = None
                selector.register(connection, selectors.EVENT_READ, _Call(home, connection))
        for call in _finished(selector):
            answers[call.home.name] = _body(bytes(call.received))
    return answers


def _ask(home: Home, path: bytes) -> socket.socket:
    connection = _connect(home, PATIENCE)
    try:
        connection.sendall(_ASK % path)
        connection.setblocking(False)
    except BaseException:
        connection.close()
        raise
    return connection


def _finished(selector: selectors.BaseSelector) -> Sequence[_Call]:
    """Read until every supervisor has closed its side, or patience ends."""
    deadline = time.monotonic() + PATIENCE
    calls = [key.data for key in selector.get_map().values()]
    while selector.get_map() and (left := deadline - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            call: _Call = key.data
            try:
                chunk = call.connection.recv(_CHUNK)
            except OSError:
                chunk = b""
            call.received += chunk
            if not chunk:
                selector.unregister(call.connection)
    for call in calls:
        call.connection.close()
    return calls


def _body(response: bytes) -> bytes | None:
    """The body of a whole answer with 200."""
    head, _, body = response.partition(b"\r\n\r\n")
    is_whole = b"content-length: %d\r\n" % len(body) in head.lower() + b"\r\n"
    return body if is_whole and head.startswith(b"HTTP/1.1 200 ") else None


def _parse(body: bytes) -> Mapping[str, JSON] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def is_answering(home: Home) -> bool:
    """Whether a supervisor listens and says how it is."""
    return statuses([home]).get(home.name) is not None


def put_configuration(home: Home, document: Mapping[str, JSON]) -> None:
    """Give a living supervisor a new configuration.

    Raises:
        Refused: It says why.
        OSError: It does not answer.
    """
    status, body = exchange(home, "PUT", "/configuration", canonical(document), CHANGE)
    if status != 200:
        raise refusal(home, status, body)


def shut_down(home: Home, timeout: float) -> None:
    """Ask a supervisor to end after the requests under way; it answers when they are done.

    Raises:
        OSError: It does not answer.
    """
    exchange(home, "POST", "/shutdown", b"", timeout)


class Refused(TargetError):
    """A supervisor does not take a configuration.

    Attributes:
        for_content: Because of what it says, and not because it cannot be kept.
    """

    for_content = False


def refusal(home: Home, status: int, body: bytes) -> Refused:
    """The error of a configuration that was not taken."""
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body.decode(errors="replace")
    refused = Refused(
        Diagnostic(
            "Supervisor refused the change",
            f"The supervisor of {home.name} answered {status}: {message}",
            todo=STILL_SERVES,
        )
    )
    refused.for_content = status == _BAD_REQUEST
    return refused


def exchange(home: Home, method: str, path: str, body: bytes, timeout: float) -> tuple[int, bytes]:
    """One request and its answer.

    Raises:
        OSError: Nothing listens, or it does not answer in time.
    """
    status, _, content = exchange_fully(home, method, path, body, timeout)
    return status, content


def exchange_fully(
    home: Home, method: str, path: str, body: bytes, timeout: float, headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """One request and its answer: status, headers in lower case, body.

    Raises:
        OSError: Nothing listens, or it does not answer in time or in HTTP.
    """
    import http.client  # noqa: PLC0415 - 20 ms that a warm plan does not need

    connection = http.client.HTTPConnection("local", timeout=timeout)
    connection.sock = _connect(home, timeout)
    try:
        always = {"Content-Type": "application/json", "Connection": "close"}
        connection.request(method, path, body, {**always, **(headers or {})})
        response = connection.getresponse()
        content = response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(repr(error)) from error
    finally:
        connection.close()
    return response.status, {key.lower(): value for key, value in response.getheaders()}, content


def _connect(home: Home, timeout: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(str(home.admin))
    except BaseException:
        connection.close()
        raise
    return connection

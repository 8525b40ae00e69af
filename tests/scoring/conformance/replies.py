"""Requests as bytes, and replies in a form in which two servers can be compared."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.scoring.rig import connect

Headers = tuple[tuple[str, str | bytes], ...]
Aspects = Mapping[str, object]
"""What can be compared of a reply: `status`, `body`, and `header x` for each header."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

UNCOMPARED = {
    "date": "ours leaves it out, which RFC 9110 allows; the reference's server writes it",
    "server": "names gunicorn",
    "connection": "belongs to one connection, and not to the answer",
    "content-length": "checked against the body instead, by the client that reads it",
    "transfer-encoding": "how a body is framed, which the client that reads it undoes",
    "keep-alive": "belongs to one connection",
    "azureml-model-deployment": "the gateway's, as Azure's gateway has it",
}
"""Headers that are not compared, and why."""


@dataclass(frozen=True)
class Request:
    """One row of the table.

    Attributes:
        name: Unique; `differences.py` and failing tests call the row by it.
        setup: The server that it is sent to, in `setups.py`.
        body: Sent with its length; None sends no length.
        chunks: Sent as they are, where `headers` say that there are chunks.
    """

    name: str
    setup: str
    method: str = "POST"
    target: str | bytes = "/score"
    headers: Headers = ()
    body: bytes | None = b""
    chunks: bytes = b""

    def to_bytes(self) -> bytes:
        """The request as it is sent; deployments are named to the gateway, and so to everyone."""
        lines: list[tuple[str, str | bytes]] = [("Host", "model.test"), ("azureml-model-deployment", self.setup)]
        if self.body is not None:
            lines.append(("Content-Length", str(len(self.body))))
        lines.extend(self.headers)
        target = self.target if isinstance(self.target, bytes) else self.target.encode("latin-1")
        head = self.method.encode() + b" " + target + b" HTTP/1.1\r\n"
        for name, value in lines:
            head += name.encode() + b": " + (value if isinstance(value, bytes) else value.encode("latin-1")) + b"\r\n"
        return head + b"\r\n" + (self.body or self.chunks)


def send(address: int | Path, request: Request) -> Aspects:
    """What a server answers, without what must differ: ids that it makes, times, its name."""
    with connect(address) as connection:
        with contextlib.suppress(
            BrokenPipeError, ConnectionResetError
        ):  # answered and closed before it read everything
            connection.sendall(request.to_bytes())
        response = http.client.HTTPResponse(connection, method=request.method)
        try:
            response.begin()
            body = response.read()
        except (http.client.HTTPException, ConnectionError) as error:
            return {"status": None, "body": f"<no answer: {type(error).__name__}>"}
        pairs = [(name.lower(), value) for name, value in response.getheaders()]
    aspects: dict[str, object] = {"status": response.status, "body": _comparable(dict(pairs), body)}
    for name in {name for name, _ in pairs} - UNCOMPARED.keys():
        values = ", ".join(_neutral(name, value) for found, value in pairs if found == name)
        aspects[f"header {name}"] = values
    return aspects


def _neutral(name: str, value: str) -> str:
    match name:
        case "x-ms-server-version":
            return "<server>" if re.fullmatch(r"(azmlinfsrv|mlops-scoring)/[\d.]+", value) else value
        case "allow":
            return ", ".join(sorted(value.split(", ")))  # the reference writes a set
        case "x-ms-run-fn-exec-ms":
            return re.sub(r"^\d+\.\d{3}$", "<milliseconds>", value)
        case _:
            return _UUID.sub("<id>", value)


def _comparable(headers: Mapping[str, str], body: bytes) -> object:
    """Swagger as a document without its prose; all else as it is, byte by byte."""
    if headers.get("content-type") == "application/json" and b'"GetSwaggerSpec"' in body:
        return _without_prose(json.loads(body))
    if len(body) > 2000:
        return f"<{len(body)} bytes>"
    return body.decode("utf-8", "backslashreplace")


def _without_prose(value: object) -> object:
    match value:
        case dict():
            kept = {name: one for name, one in value.items() if not (name == "description" and isinstance(one, str))}
            return {name: _without_prose(one) for name, one in kept.items()}
        case list():
            return [_without_prose(one) for one in value]
        case _:
            return value


def compare(reference: Aspects, ours: Aspects) -> dict[str, tuple[object, object]]:
    """The aspects in which two replies differ: the reference's, and ours; None is an absent header."""
    names = sorted(reference.keys() | ours.keys())
    return {name: (reference.get(name), ours.get(name)) for name in names if reference.get(name) != ours.get(name)}

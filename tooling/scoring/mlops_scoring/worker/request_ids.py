"""Request ids of a response, by the rules of azureml-inference-server-http 1.5.1."""

from __future__ import annotations

import uuid

from mlops_scoring import __version__
from mlops_scoring.wire.messages import Headers, Request
from mlops_scoring.worker.scoring import Answer, error_answer

_MAX_ID = 100
_SERVER = (b"x-ms-server-version", f"mlops-scoring/{__version__}".encode())
ID_NAMES = frozenset({b"x-request-id", b"x-ms-request-id", b"x-ms-client-request-id"})
"""Headers of an answer that only the server sets."""


def identify(request: Request, *, server_version: bool = True) -> tuple[Headers, Answer | None]:
    """The headers to add to the answer; and the refusal where an id is too long.

    Args:
        request: The request; of an id that is there twice, all values count, as WSGI servers hand them on.
        server_version: Whether the answer names the server.
    """
    found: dict[bytes, bytes] = {}
    for name, value in request.headers:
        if name in ID_NAMES or name == b"traceid":
            found[name] = found[name] + b"," + value if name in found else value
    added: Headers = [_SERVER] if server_version else []
    if b"traceid" in found:
        added.append((b"traceid", found[b"traceid"]))
    own = found.get(b"x-request-id")
    if own is None:
        own = str(uuid.uuid4()).encode()
    elif len(own) > _MAX_ID:
        return added, error_answer(431, f"x-request-id must not exceed {_MAX_ID} characters")
    if own:
        added.append((b"x-request-id", own))
    legacy = found.get(b"x-ms-request-id", b"")
    client = found.get(b"x-ms-client-request-id", b"") or legacy
    legacy = legacy or client or own
    if len(legacy) > _MAX_ID or len(client) > _MAX_ID:
        text = f"x-ms-request-id and x-ms-client-request-id must not exceed {_MAX_ID} characters"
        return added, error_answer(431, text)
    if legacy:
        added.append((b"x-ms-request-id", legacy))
    if client:
        added.append((b"x-ms-client-request-id", client))
    return added, None

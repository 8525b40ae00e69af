"""Request ids of a response, by the rules of azureml-inference-server-http 1.5.1."""

from __future__ import annotations

import uuid

from mlops_scoring import __version__
from mlops_scoring.wire.messages import Headers, Request
from mlops_scoring.worker.scoring import Answer, error_answer

_MAX_ID = 100
_SERVER = (b"x-ms-server-version", f"mlops-scoring/{__version__}".encode())


def identify(request: Request) -> tuple[Headers, Answer | None]:
    """The headers to add to the answer, the first `x-request-id`; and the refusal where an id is too long."""
    found = {name: value for name, value in request.headers if name.endswith(b"request-id") or name == b"traceid"}
    trace = found.get(b"traceid")
    added: Headers = [_SERVER] if trace is None else [_SERVER, (b"traceid", trace)]
    own = found.get(b"x-request-id")
    if own is None:
        own = str(uuid.uuid4()).encode()
    elif len(own) > _MAX_ID:
        return added, error_answer(431, f"x-request-id must not exceed {_MAX_ID} characters")
    added.append((b"x-request-id", own))
    legacy = found.get(b"x-ms-request-id", b"")
    client = found.get(b"x-ms-client-request-id", b"") or legacy
    legacy = legacy or client or own
    if len(legacy) > _MAX_ID or len(client) > _MAX_ID:
        text = f"x-ms-request-id and x-ms-client-request-id must not exceed {_MAX_ID} characters"
        return added, error_answer(431, text)
    added.append((b"x-ms-request-id", legacy))
    if client:
        added.append((b"x-ms-client-request-id", client))
    return added, None

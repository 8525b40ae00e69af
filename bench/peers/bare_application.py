"""The least that answers: the same entry script behind uvicorn, without anything else."""

from __future__ import annotations

import json
import sys
from typing import Any

sys.path.insert(0, __file__.rpartition("/")[0] + "/digits_script")

import score

score.init()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
    """Answer every request with the model's labels."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    answer = json.dumps(score.run(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})

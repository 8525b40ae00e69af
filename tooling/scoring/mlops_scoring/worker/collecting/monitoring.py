"""What `azureml-ai-monitoring` is told by its environment, and how its collectors learn the request's id.

Source: azureml-ai-monitoring 1.0.0, `config/config.py`, `collector_json.py`, `init.py`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from mlops_scoring.current import current_request
from mlops_scoring.worker.collecting.plan import Kept
from mlops_scoring.worker.collecting.sink import HOST
from mlops_scoring.worker.collecting.trials import ATTRIBUTE, Marks

_PACKAGE = "azureml.ai.monitoring"


def announce(port: int, collections: Mapping[str, Kept]) -> None:
    """Set the variables that the package reads when a script makes its first collector.

    Sampling is left to us, so that all rows of a request share its fate.

    Raises:
        OSError: The configuration can be written nowhere.
    """
    named = {
        name: {"enabled": True, "sampleRatePercentage": 0 if kept.rate == 0 else 100}
        for name, kept in collections.items()
    }
    os.environ["AZUREML_MDC_CONFIG_PATH"] = _file(json.dumps({"runMode": "cloud", "collections": named}).encode())
    os.environ["AZUREML_MDC_HOST"] = HOST
    os.environ["AZUREML_MDC_PORT"] = str(port)


def _file(content: bytes) -> str:
    """A path to read this from for as long as the process lives; in memory where the system can."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("mlops-collection")
        path = f"/proc/{os.getpid()}/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp(prefix="mlops-collection-")
    os.write(descriptor, content)
    return path


def adopt_requests(marks: Marks) -> None:
    """Have collectors know the request in whose `run()` they are called.

    Those that are given no context use its id: the package draws one for each call otherwise, and nothing that was
    collected of a request could be joined. What they collect of a trial is marked, whatever its context.
    """
    module = sys.modules.get(f"{_PACKAGE}.collector_json")
    contexts = sys.modules.get(f"{_PACKAGE}.context")
    original: Callable[[], object] | None = getattr(module, "get_context", None)
    context: Callable[..., object] | None = getattr(contexts, "BasicCorrelationContext", None)
    build: Callable[..., object] | None = getattr(module, "build_payload", None)
    if original is None or context is None or build is None or hasattr(original, "of_request"):
        return

    def get_context() -> object:
        request = current_request()
        return original() if request is None else context(id=request.request_id)

    def build_payload(*arguments: object, context: _Context, **options: object) -> object:
        of_trial = marks.is_trial(current_request())
        return build(*arguments, context=_Marked(context, marks) if of_trial else context, **options)

    vars(get_context)["of_request"] = True
    vars(module).update(get_context=get_context, build_payload=build_payload)


class _Context(Protocol):
    """What the package asks of a context."""

    def get_id(self) -> str: ...

    def get_timestamp(self) -> int: ...

    def get_headers(self) -> Mapping[str, str]: ...


class _Marked:
    """A context of rows that are collected of a trial."""

    def __init__(self, context: _Context, marks: Marks) -> None:
        self._context = context
        self._marks = marks

    def get_id(self) -> str:
        return self._context.get_id()

    def get_timestamp(self) -> int:
        return self._context.get_timestamp()

    def get_headers(self) -> Mapping[str, str]:
        return {**self._context.get_headers(), ATTRIBUTE: self._marks.secret}


def flush(seconds: float = 5.0) -> None:
    """Have the package send what its queue holds, for so long at most."""
    module = sys.modules.get(f"{_PACKAGE}.init")
    if module is None:
        return
    sender = threading.Thread(target=module.teardown, args=(True,), name="collection-flush", daemon=True)
    sender.start()
    sender.join(seconds)

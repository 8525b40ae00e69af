"""Flask's own requests, for entry scripts that run where Azure ML's server, and so Flask, is installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from mlops_scoring.worker.scoring import ScoringRequest


def with_flask(run: Callable[..., object], name: str) -> Callable[..., object]:
    """Wrap a `run()`: given a `ScoringRequest`, it is called with Flask's request for it, in that request's context."""
    application = importlib.import_module("flask").Flask("entry_script")
    builder = importlib.import_module("werkzeug.test").EnvironBuilder

    def run_with_flask(**arguments: object) -> object:
        request = arguments.pop(name)
        if not isinstance(request, ScoringRequest):
            raise TypeError(f"{name} must be a request of the worker")
        environment = builder(
            method=request.method,
            path=request.path,
            query_string=request.query.decode("latin-1"),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers],
            data=request.body,
        ).get_environ()
        with application.request_context(environment) as context:
            return run(**{name: context.request}, **arguments)

    return run_with_flask

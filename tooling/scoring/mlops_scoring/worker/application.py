"""The worker's answers to its clients: the table of routes, request ids, and the way to the model."""

from __future__ import annotations

import logging
from urllib.parse import unquote

from mlops_scoring.azureml_settings import Settings
from mlops_scoring.wire.messages import Headers, Request
from mlops_scoring.wire.server import ServerConnection
from mlops_scoring.worker.cross_origin import CrossOrigin
from mlops_scoring.worker.exchange import Desk, ScoringExchange
from mlops_scoring.worker.request_ids import identify
from mlops_scoring.worker.responses import respond
from mlops_scoring.worker.routes import Routes
from mlops_scoring.worker.scoring import INTERNAL_ERROR, ScoringRequest, Unfit, error_answer

_log = logging.getLogger("mlops_scoring.worker")
_NOT_FOUND = (
    "The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
)
_NOT_ALLOWED = "The method is not allowed for the requested URL."


class Application:
    """Answers for one model.

    Args:
        routes: What it answers.
        desk: Where requests that the model answers go.
        settings: What Azure ML's environment variables say.
    """

    def __init__(self, routes: Routes, desk: Desk, settings: Settings) -> None:
        """Know the routes."""
        self._routes = routes
        self._desk = desk
        self._server_version = settings.server_version
        self._cross_origin = CrossOrigin(settings.cors_origins) if settings.cors_origins else None

    def handle(self, request: Request, client: ServerConnection) -> None:
        """Answer one request."""
        target, _, query = request.target.partition(b"?")
        path = target.decode("latin-1")
        if "%" in path:
            path = unquote(path)
        route = self._routes.get(path) or self._routes.get(f"/{path.partition('/')[2].partition('/')[0]}/*")
        if route is None:
            respond(client, error_answer(404, _NOT_FOUND), [])
            return
        method = request.method.decode("latin-1")
        if method not in route.methods and not (method == "HEAD" and "GET" in route.methods and not route.scores):
            refused = error_answer(405, _NOT_ALLOWED)
            refused.headers.append(("allow", ", ".join(route.methods)))
            respond(client, refused, [])
            return
        added, refusal = identify(request, server_version=self._server_version)
        if self._cross_origin is not None:
            added += self._cross_origin.headers(request)
        if refusal is not None:
            respond(client, refusal, added)
            return
        asked = ScoringRequest(method, path, query, tuple(request.headers), bytes(request.body), _request_id(added))
        if route.scores:
            ScoringExchange(self._desk, route, asked, client, added).begin()
            return
        try:
            answer = route.answer(asked)
        except Unfit as unfit:
            answer = error_answer(unfit.status, str(unfit))
        except Exception:  # noqa: BLE001 - an error of this request, not of the worker
            _log.exception("%s %s failed", method, path)
            answer = error_answer(500, INTERNAL_ERROR)
        respond(client, answer, added)


def _request_id(added: Headers) -> str:
    return next((value.decode("latin-1") for name, value in added if name == b"x-request-id"), "")

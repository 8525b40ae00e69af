"""The worker's answers to its clients: the table of routes, request ids, and the way to the model."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote

from mlops_scoring.azureml_settings import Settings
from mlops_scoring.wire.messages import Headers, Request
from mlops_scoring.wire.server import ServerConnection
from mlops_scoring.worker.cross_origin import CrossOrigin
from mlops_scoring.worker.exchange import Desk, ScoringExchange
from mlops_scoring.worker.lending import lender
from mlops_scoring.worker.request_ids import identify
from mlops_scoring.worker.responses import respond
from mlops_scoring.worker.routes import Route, Routes
from mlops_scoring.worker.scoring import INTERNAL_ERROR, Answer, ScoringRequest, Unfit, error_answer

_log = logging.getLogger("mlops_scoring.worker")
_NOT_FOUND = (
    "The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
)
_NOT_ALLOWED = "The method is not allowed for the requested URL."


class _Admitted(NamedTuple):
    """A request with the route that answers it, and the headers that its answer has beside its own."""

    route: Route
    asked: ScoringRequest
    headers: Headers


class _Refused(NamedTuple):
    """The answer to a request that no route is asked about."""

    answer: Answer
    headers: Headers


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
        self._desk = replace(desk, lender=lender(desk, self.prepare))
        self._server_version = settings.server_version
        self._cross_origin = CrossOrigin(settings.cors_origins) if settings.cors_origins else None

    def handle(self, request: Request, client: ServerConnection) -> None:
        """Answer one request."""
        admitted = self._admit(request)
        if isinstance(admitted, _Refused):
            respond(client, admitted.answer, admitted.headers)
        elif admitted.route.scores:
            self._exchange(admitted, client).begin()
        else:
            respond(client, _answer(admitted), admitted.headers)

    def prepare(self, request: Request, client: ServerConnection) -> ScoringExchange | None:
        """The exchange of a request that the model is to answer; None of any other, which `handle` answers."""
        admitted = self._admit(request)
        if isinstance(admitted, _Refused) or not admitted.route.scores:
            return None
        return self._exchange(admitted, client)

    def _exchange(self, admitted: _Admitted, client: ServerConnection) -> ScoringExchange:
        return ScoringExchange(self._desk, admitted.route, admitted.asked, client, admitted.headers)

    def _admit(self, request: Request) -> _Admitted | _Refused:
        target, _, query = request.target.partition(b"?")
        path = target.decode("latin-1")
        if "%" in path:
            path = unquote(path)
        route = self._routes.get(path) or self._routes.get(f"/{path.partition('/')[2].partition('/')[0]}/*")
        if route is None:
            return _Refused(error_answer(404, _NOT_FOUND), [])
        method = request.method.decode("latin-1")
        if method not in route.methods and not (method == "HEAD" and "GET" in route.methods and not route.scores):
            refused = error_answer(405, _NOT_ALLOWED)
            refused.headers.append(("allow", ", ".join(route.methods)))
            return _Refused(refused, [])
        added, refusal = identify(request, server_version=self._server_version)
        if self._cross_origin is not None:
            added += self._cross_origin.headers(request)
        if refusal is not None:
            return _Refused(refusal, added)
        asked = ScoringRequest(method, path, query, tuple(request.headers), bytes(request.body), _request_id(added))
        return _Admitted(route, asked, added)


def _answer(admitted: _Admitted) -> Answer:
    """What a route that does not score answers."""
    try:
        return admitted.route.answer(admitted.asked)
    except Unfit as unfit:
        return error_answer(unfit.status, str(unfit))
    except Exception:  # noqa: BLE001 - an error of this request, not of the worker
        _log.exception("%s %s failed", admitted.asked.method, admitted.asked.path)
        return error_answer(500, INTERNAL_ERROR)


def _request_id(added: Headers) -> str:
    return next((value.decode("latin-1") for name, value in added if name == b"x-request-id"), "")

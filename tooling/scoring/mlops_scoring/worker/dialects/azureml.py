"""Azure ML's dialect: `/score`, `/swagger.json` and the health route of azureml-inference-server-http."""

from __future__ import annotations

from mlops_scoring.worker.entry_script import ScriptScorer
from mlops_scoring.worker.queries import query_pairs
from mlops_scoring.worker.routes import Route, Routes
from mlops_scoring.worker.scoring import Answer, Scorer, ScoringRequest, Unfit, error_answer, json_answer
from mlops_scoring.worker.swagger import Swagger, UnknownVersion

_READING = ("GET", "HEAD", "OPTIONS")
_HTML = ("content-type", "text/html; charset=utf-8")


def azureml_routes(scorer: Scorer, swagger: Swagger) -> Routes:
    """The routes of one model; a script under `@rawhttp` answers OPTIONS and HEAD of `/score` itself."""
    raw = isinstance(scorer, ScriptScorer) and scorer.raw

    def health(request: ScoringRequest) -> Answer:
        if request.method == "OPTIONS":
            return _options()
        return Answer(200, b"Healthy", [_HTML], None)

    def describe(request: ScoringRequest) -> Answer:
        if request.method == "OPTIONS":
            return _options()
        version = next((value for name, value in query_pairs(request.query) if name == "version"), "2")
        try:
            return json_answer(200, swagger.document(version))
        except UnknownVersion as unknown:
            return error_answer(404, str(unknown))

    def score(request: ScoringRequest) -> Answer:
        if not raw:
            if request.method == "OPTIONS":
                return Answer(200, b"", [_HTML])
            if request.method == "HEAD":
                raise Unfit("Method not allowed", 405)
        return scorer.score(request)

    return {
        "/": Route(_READING, health),
        "/swagger.json": Route(_READING, describe),
        "/score": Route(("GET", "HEAD", "POST", "OPTIONS"), score, scores=True),
    }


def _options() -> Answer:
    return Answer(200, b"", [_HTML, ("allow", ", ".join(_READING))], None)

"""Azure ML's dialect: `/score`, `/swagger.json` and the health route of azureml-inference-server-http."""

from __future__ import annotations

from urllib.parse import parse_qs

from mlops_scoring.worker.routes import Route, Routes
from mlops_scoring.worker.scoring import Answer, Scorer, ScoringRequest, error_answer, json_answer
from mlops_scoring.worker.swagger import Swagger, UnknownVersion

_HTML = ("content-type", "text/html; charset=utf-8")


def azureml_routes(scorer: Scorer, swagger: Swagger) -> Routes:
    """The routes of one model."""

    def health(request: ScoringRequest) -> Answer:
        del request
        return Answer(200, b"Healthy", [_HTML], None)

    def describe(request: ScoringRequest) -> Answer:
        version = parse_qs(request.query.decode("latin-1")).get("version", ["2"])[0]
        try:
            return json_answer(200, swagger.document(version))
        except UnknownVersion as unknown:
            return error_answer(404, str(unknown))

    def score(request: ScoringRequest) -> Answer:
        if request.method == "OPTIONS":
            return Answer(200, b"", [_HTML])
        return scorer.score(request)

    return {
        "/": Route(("GET",), health),
        "/swagger.json": Route(("GET",), describe),
        "/score": Route(("GET", "POST", "OPTIONS"), score, scores=True),
    }

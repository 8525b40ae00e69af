"""MLflow's dialect: `/invocations`, `/ping`, `/health` and `/version` of `mlflow models serve`.

MLflow models are asked through MLflow's own reader of requests; every other model through ours.
"""

from __future__ import annotations

import importlib
import json
import logging
import time
from collections.abc import Callable
from typing import Any

from mlops_scoring import __version__
from mlops_scoring.worker.dialects.mlflow_forms import Invocation, check_content_type, check_texts, read
from mlops_scoring.worker.prediction import Feed, Predictor, Table
from mlops_scoring.worker.routes import Route, Routes
from mlops_scoring.worker.runtimes.mlflow import OUTPUT, MlflowPredictor
from mlops_scoring.worker.runtimes.scorer import ModelScorer
from mlops_scoring.worker.runtimes.tabular import Values
from mlops_scoring.worker.scoring import INTERNAL_ERROR, Answer, Scorer, ScoringRequest, Unfit

_log = logging.getLogger("mlops_scoring.worker")
_JSON = ("content-type", "application/json")
_TEXT = ("content-type", "text/plain; charset=utf-8")
_LONGEST = 4000
"""Characters of a message; MLflow's repeat the whole request."""

_PARQUET = "application/vnd.apache.parquet"

Answering = Callable[[ScoringRequest], Answer]


def mlflow_routes(scorer: Scorer) -> Routes:
    """The routes of one model, or of a script: that gets the rows in the forms that `/score` has."""
    version = __version__
    answering: Answering
    match scorer:
        case ModelScorer(predictor=MlflowPredictor() as predictor):
            answering = MlflowInvocations(predictor).answer
            version = str(importlib.import_module("mlflow").__version__)
        case ModelScorer():
            answering = _model_answering(scorer)
        case _:
            answering = _script_answering(scorer)
    ping = Route(("GET", "POST"), lambda _: Answer(200, b"\n", [_JSON], None))
    return {
        "/ping": ping,
        "/health": ping,
        "/version": Route(("GET",), lambda _: Answer(200, version.encode(), [_JSON], None)),
        "/invocations": Route(("POST",), _guarded(answering), scores=True),
    }


def _guarded(answering: Answering) -> Answering:
    """The same, with errors in MLflow's form."""

    def answer(request: ScoringRequest) -> Answer:
        try:
            return answering(request)
        except Unfit as unfit:
            if unfit.status == 415:
                return Answer(415, str(unfit).encode(), [_TEXT])
            return error(unfit.status, "BAD_REQUEST", str(unfit))
        except Exception:  # noqa: BLE001 - an error of this request, not of the worker
            _log.exception("%s failed", request.path)
            return error(500, "INTERNAL_ERROR", INTERNAL_ERROR)

    return answer


def error(status: int, code: str, text: str, *, failed: bool = False) -> Answer:
    """An error in MLflow's form."""
    body = json.dumps({"error_code": code, "message": text[:_LONGEST]}).encode()
    return Answer(status, body, [_JSON], failed)


def predictions(value: object, milliseconds: float | None) -> Answer:
    """The answer; missing numbers are NaN, as MLflow writes them."""
    return Answer(200, json.dumps({"predictions": value}).encode(), [_JSON], milliseconds=milliseconds)


def _model_answering(scorer: ModelScorer) -> Answering:
    predictor = scorer.predictor

    def answer(request: ScoringRequest) -> Answer:
        invocation = read(request)
        try:
            feed = _feed(predictor, invocation)
            started = time.perf_counter()
            (found,) = predictor.predict(feed, (predictor.output_of("predict"),))
        except Unfit as unfit:
            return error(unfit.status, "INVALID_PARAMETER_VALUE", str(unfit))
        milliseconds = (time.perf_counter() - started) * 1000
        return predictions(predictor.plain(found), milliseconds)

    return answer


def _feed(predictor: Predictor, invocation: Invocation) -> Feed:
    if invocation.params:
        raise Unfit("params: the model takes none.")
    content = invocation.content
    if isinstance(content, Values):
        return predictor.feed_values(content.values, content.where)
    return predictor.feed_table(content)


def _script_answering(scorer: Scorer) -> Answering:
    def answer(request: ScoringRequest) -> Answer:
        body = json.dumps(_as_scored(read(request))).encode()
        headers = (
            *(pair for pair in request.headers if pair[0] != b"content-type"),
            (b"content-type", b"application/json"),
        )
        found = scorer.score(ScoringRequest("POST", "/score", b"", headers, body, request.request_id))
        if found.stream is not None:
            return error(500, "INTERNAL_ERROR", "The script streams its answer; ask it by /score.")
        try:
            value = json.loads(found.body)
        except (ValueError, RecursionError):
            value = found.body.decode("utf-8", "replace")
        if found.status == 200:
            return predictions(value, found.milliseconds)
        text = value.get("message", "") if isinstance(value, dict) else value
        code = "BAD_REQUEST" if found.status < 500 else "INTERNAL_ERROR"
        return error(found.status, code, str(text), failed=bool(found.run_function_failed))

    return answer


def _as_scored(invocation: Invocation) -> dict[str, object]:
    """The rows as scripts know them from `/score`."""
    content = invocation.content
    body: dict[str, object] = {"data": content.values} if isinstance(content, Values) else _split(content)
    return body if invocation.params is None else body | {"params": invocation.params}


def _split(table: Table) -> dict[str, object]:
    if table.columns is None:
        return {"data": table.rows}
    index = list(range(len(table.rows)))
    return {"input_data": {"columns": list(table.columns), "index": index, "data": table.rows}}


class MlflowInvocations:
    """`/invocations` of an MLflow model, by the code of the environment's MLflow.

    Args:
        predictor: The model.

    Attributes:
        metadata: The model's; MLflow's code reads its signature.
    """

    def __init__(self, predictor: MlflowPredictor) -> None:
        """Import MLflow's code."""
        self._predictor = predictor
        self._invoke = importlib.import_module("mlflow.pyfunc.scoring_server").invocations
        self._refused = importlib.import_module("mlflow.exceptions").MlflowException
        self._schema = predictor.model.metadata.get_input_schema()
        self.metadata = predictor.model.metadata

    def answer(self, request: ScoringRequest) -> Answer:
        """Answer one request."""
        given = request.header(b"content-type")
        check_content_type(given, ("text/csv", "application/json", _PARQUET))
        check_texts(request.body)
        started = time.perf_counter()
        try:
            found = self._invoke(request.body, given, self, self._schema)
        except self._refused as refused:
            if "stack_trace" in getattr(refused, "json_kwargs", {}):
                _log.exception("%s failed", request.path)
            code = str(getattr(refused, "error_code", "BAD_REQUEST"))
            return error(refused.get_http_status_code(), code, refused.message)
        milliseconds = (time.perf_counter() - started) * 1000
        return Answer(
            found.status, found.response.encode(), [("content-type", found.mimetype)], milliseconds=milliseconds
        )

    def predict(self, data: Any, params: object = None) -> Any:  # noqa: ANN401 - as MLflow's own models have it
        """What MLflow's code calls: the model, in batches where they are wanted."""
        if params is not None:
            return self._predictor.model.predict(data, params=params)
        return self._predictor.call(data, (OUTPUT,))[0]

"""Entry scripts as Azure ML defines them: `init()` once, `run()` for each request.

The rules are those of azureml-inference-server-http 1.5.1: how `run()` is called depends on its decorators; it may take
`request_headers`; it has no `*args`, `**kwargs` or positional-only parameters.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from mlops_scoring.worker import shims
from mlops_scoring.worker.flask_requests import with_flask
from mlops_scoring.worker.multi_values import joined
from mlops_scoring.worker.queries import query_pairs
from mlops_scoring.worker.raw_http import AMLRequest, RawHttp
from mlops_scoring.worker.raw_response import AMLResponse
from mlops_scoring.worker.scoring import (
    ANY_SCHEMA,
    INTERNAL_ERROR,
    SCRIPT_FAILED,
    Answer,
    Schema,
    ScoringRequest,
    StartFailed,
    Unfit,
    error_answer,
    json_answer,
)
from mlops_scoring.worker.sources import import_source

_log = logging.getLogger("mlops_scoring.worker")
_MODULE = "entry_module"
Parse = Callable[[ScoringRequest], dict[str, object]]


@dataclass(frozen=True, slots=True)
class ScriptScorer:
    """A script whose `init()` has succeeded.

    Attributes:
        run: The script's function.
        parse: Makes its arguments from a request.
        wants_headers: Whether it takes `request_headers`.
        raw: Whether `@rawhttp` marks it: then it answers every method.
        decorated: Whether inference-schema decorates it.
        show_tracebacks: Whether callers see where the script failed, because they are its authors.
    """

    run: Callable[..., object]
    parse: Parse
    wants_headers: bool
    decorated: bool
    raw: bool = False
    show_tracebacks: bool = False

    def score(self, request: ScoringRequest) -> Answer:
        """Call `run()` and make its result a response."""
        arguments = self.parse(request)
        if self.wants_headers:
            arguments["request_headers"] = dict(joined(request.headers))
        started = time.perf_counter()
        try:
            output = self.run(**arguments)
        except BaseException:  # noqa: BLE001 - whatever a script raises is a failed request
            _log.exception("run() raised")
            return self._failed(SCRIPT_FAILED, failed=True)
        milliseconds = (time.perf_counter() - started) * 1000
        try:
            return _answer(output, milliseconds)
        except (TypeError, ValueError, RecursionError):
            _log.exception("what run() returned cannot be sent")
            return self._failed(INTERNAL_ERROR)

    def _failed(self, message: str, *, failed: bool = False) -> Answer:
        """What is answered while an exception of the script is handled."""
        if not self.show_tracebacks:
            return error_answer(500, message, failed=failed)
        return json_answer(500, {"message": message, "traceback": traceback.format_exc()}, failed=failed)

    def schema(self) -> Schema:
        """What the schema decorators say."""
        if not self.decorated:
            return ANY_SCHEMA
        tool = importlib.import_module("inference_schema.schema_util")
        versions = frozenset(tool.get_supported_versions(self.run))
        return Schema(tool.get_input_schema(self.run), tool.get_output_schema(self.run), versions)


def load_script(code_directory: str, scoring_script: str, *, show_tracebacks: bool = False) -> ScriptScorer:
    """Import a script and call its `init()`.

    Raises:
        StartFailed: There is no such script, or `init()` or `run()` is missing or of the wrong shape.
        BaseException: Whatever the script raises.
    """
    module = _import(Path(code_directory, scoring_script))
    for name in ("init", "run"):
        if not callable(getattr(module, name, None)):
            raise StartFailed(f"{scoring_script} has no function {name}()")
    # Generated driver scripts wrap the user's one: their run() only forwards, and loses the decorators.
    driven = getattr(module, "driver_module", None)
    run = driven.run if isinstance(driven, ModuleType) and hasattr(driven, "run") else module.run
    scorer = replace(_examine(run, scoring_script), show_tracebacks=show_tracebacks)
    module.init()
    return scorer


def _import(path: Path) -> ModuleType:
    if not path.is_file():
        raise StartFailed(f"the scoring script {path.name} is not in the code directory")
    module = import_source(_MODULE, path)
    if module is None:
        raise StartFailed(f"the scoring script {path.name} is not a Python file")
    return module


def _examine(run: Callable[..., object], script: str) -> ScriptScorer:
    parameters = list(inspect.signature(run).parameters.values())
    usual = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    if any(parameter.kind not in usual for parameter in parameters):
        raise StartFailed(f"run() of {script} cannot accept positional-only arguments, *args, or **kwargs")
    wants_headers = any(parameter.name == "request_headers" for parameter in parameters)
    inputs = [parameter for parameter in parameters if parameter.name != "request_headers"]
    if not inputs:
        raise StartFailed(f"run() of {script} needs to accept an argument for input data")
    raw = RawHttp.requested or shims.real_raw_http_requested()
    decorated = _is_decorated(run)
    if raw and decorated:
        raise StartFailed(f"run() of {script} cannot be decorated with both @rawhttp and @input_schema")
    first = inputs[0].name
    parse: Parse
    if raw and shims.real_raw_http_requested():
        parse = lambda request: {first: request}  # noqa: E731 - Flask's request is made by `with_flask`
        run = with_flask(run, first)
    elif raw:
        parse = lambda request: {first: AMLRequest(request)}  # noqa: E731 - as short as it is
    elif decorated:
        parse = _object_parser(inputs)
    else:
        parse = _text_parser(first)
    return ScriptScorer(run, parse, wants_headers, decorated, raw)


def _is_decorated(run: Callable[..., object]) -> bool:
    # Only a script that imported inference_schema can have used it.
    tool = sys.modules.get("inference_schema.schema_util")
    return tool is not None and bool(tool.is_schema_decorated(run))


def _text_parser(name: str) -> Parse:
    def parse(request: ScoringRequest) -> dict[str, object]:
        if _from_query(request):
            return {name: json.dumps(_query_values(request.query))}
        try:
            return {name: str(request.body, "utf-8")}
        except UnicodeDecodeError as error:
            raise Unfit(f"Input cannot be decoded as UTF-8: {error}") from None

    return parse


def _object_parser(parameters: list[inspect.Parameter]) -> Parse:
    def parse(request: ScoringRequest) -> dict[str, object]:
        values = _query_values(request.query) if _from_query(request) else _json_object(request)
        arguments: dict[str, object] = {}
        for parameter in parameters:
            value = values.get(parameter.name, parameter.default)
            if value is inspect.Parameter.empty:
                raise Unfit(f"A value is not provided for the {parameter.name!r} parameter.")
            arguments[parameter.name] = value
        return arguments

    return parse


def _from_query(request: ScoringRequest) -> bool:
    if request.method not in {"GET", "POST"}:
        raise Unfit("Method not allowed", 405)
    return request.method == "GET"


def _query_values(query: bytes) -> dict[str, object]:
    found: dict[str, list[object]] = {}
    for name, text in query_pairs(query):
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def is_json(content_type: str) -> bool:
    """Whether a content type is JSON, as Werkzeug judges it."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _json_object(request: ScoringRequest) -> Mapping[str, object]:
    if not is_json(request.header(b"content-type")):
        raise Unfit("Expects Content-Type to be application/json", 415)
    if not request.body:
        raise Unfit("POST body is empty. Expecting a JSON dictionary.")
    try:
        value = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Unfit(f"POST body could not be decoded as JSON: {error}") from None
    if not isinstance(value, dict):
        raise Unfit("POST body should be a JSON dictionary.")
    return value


def _answer(output: object, milliseconds: float) -> Answer:
    foreign = sys.modules.get("werkzeug.wrappers")
    if isinstance(output, AMLResponse):
        headers = output.header_list()
    elif foreign is not None and isinstance(output, foreign.Response):
        headers = [(str(name), str(value)) for name, value in output.headers.items()]
    else:
        return json_answer(200, {} if output is None else output, milliseconds=milliseconds)
    status = output.status_code
    failed = None
    if status >= 500:
        headers = [pair for pair in headers if pair[0].lower() != "x-ms-run-function-failed"]
        failed = True
    if output.is_streamed:
        return Answer(status, b"", headers, failed, milliseconds, stream=output.iter_encoded())
    body = output.get_data()
    return Answer(status, body if isinstance(body, bytes) else body.encode(), headers, failed, milliseconds)

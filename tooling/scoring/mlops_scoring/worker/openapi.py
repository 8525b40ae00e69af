"""`/openapi.json`: everything that a worker answers, in OpenAPI 3.1.

`/swagger.json` says what Azure ML's server says, and so has `/score` only. Here are the other dialects too, every
status, and schemas that hold for every answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mlops_scoring.worker.routes import Route, Routes
from mlops_scoring.worker.scoring import ANY_SCHEMA, Answer, Schema, ScoringRequest, json_answer

Described = Mapping[str, object]
_TEXT = {"type": "string"}
_NAMED = {"type": "object", "required": ["name"], "properties": {"name": _TEXT, "parameters": {"type": "object"}}}
_TENSOR: Described = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": _TEXT,
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {
            "enum": [
                *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
                *("FP16", "FP32", "FP64", "BYTES"),
            ]
        },
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
}
_SCHEMAS: Mapping[str, Described] = {
    "Error": {"type": "object", "required": ["message"], "properties": {"message": _TEXT, "traceback": _TEXT}},
    "Tensor": _TENSOR,
    "InferRequest": {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": _TEXT,
            "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
            "outputs": {"type": "array", "items": _NAMED},
        },
    },
    "InferResponse": {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": _TEXT,
            "model_version": _TEXT,
            "id": _TEXT,
            "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
        },
    },
    "InferError": {"type": "object", "required": ["error"], "properties": {"error": _TEXT}},
    "Invocation": {
        "type": "object",
        "minProperties": 1,
        "properties": {
            "dataframe_split": {"type": "object", "required": ["data"]},
            "dataframe_records": {"type": "array", "items": {"type": "object"}},
            "instances": {},
            "inputs": {},
            "params": {"type": "object"},
        },
    },
    "Predictions": {"type": "object", "required": ["predictions"]},
    "InvocationError": {
        "type": "object",
        "required": ["error_code", "message"],
        "properties": {"error_code": _TEXT, "message": _TEXT},
    },
}
_MEANINGS = {
    "400": "The request does not fit; the message names the field.",
    "401": "No key or token that is in force.",
    "404": "There is no such thing.",
    "405": "Another method is wanted.",
    "413": "The body is too large.",
    "415": "Another content type is wanted.",
    "429": "Too many requests at once; try again after `Retry-After` seconds.",
    "431": "The headers are too large, a request id has more than 100 characters.",
    "500": "The model or its script failed.",
    "501": "The model's environment lacks what this dialect needs.",
    "502": "The worker died.",
    "503": "Nothing is ready to answer.",
    "504": "The model took too long.",
}


def openapi_route(schema: Schema, title: str, routes: Routes) -> Routes:
    """The route, and nothing else.

    Args:
        schema: What the model takes and gives.
        title: What the document is called.
        routes: What there is to describe; dialects that are not among them are left out.
    """
    document = describe(schema, title, (*routes, "/openapi.json"))

    def answer(request: ScoringRequest) -> Answer:
        del request
        return json_answer(200, document)

    return {"/openapi.json": Route(("GET",), answer)}


def describe(schema: Schema, title: str, paths: Iterable[str]) -> Described:
    """The document."""
    unknown = schema is ANY_SCHEMA
    schemas = {
        **_SCHEMAS,
        "ServiceInput": {} if unknown else schema.input,
        "ServiceOutput": {} if unknown else schema.output,
    }
    bearer = {"type": "http", "scheme": "bearer", "description": "A key or token, where the endpoint asks for one."}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1.0"},
        "security": [{}, {"Bearer": []}],
        "paths": {path: dict(_operations(path)) for path in sorted(paths) if not path.endswith("*")},
        "components": {"schemas": schemas, "securitySchemes": {"Bearer": bearer}},
    }


def _operations(path: str) -> Iterator[tuple[str, Described]]:
    """The methods of one path; other paths of a worker are those of a model in the Open Inference Protocol."""
    good: Described
    match path:
        case "/":
            # A worker says it as Azure ML's server does; the gateway says it itself.
            good = {**_content("text/html", _TEXT), **_content("text/plain", _TEXT)}
            yield "get", _operation("Whether the server lives", good)
        case "/score":
            good = _content("application/json", _ref("ServiceOutput"))
            yield "post", _operation("Ask the model", good, "Error", _body("ServiceInput"))
        case "/swagger.json":
            version = {"name": "version", "in": "query", "schema": _TEXT}
            yield "get", _operation("As Azure ML describes it", _content("application/json", {}), parameters=[version])
        case "/openapi.json":
            yield "get", _operation("This document", _content("application/json", {"type": "object"}))
        case "/invocations":
            good = _content("application/json", _ref("Predictions"))
            yield "post", _operation("Ask the model as MLflow does", good, "InvocationError", _body("Invocation"))
        case "/ping" | "/health" | "/version":
            yield "get", _operation("As MLflow's server answers", _content("application/json", None))
        case infer if infer.endswith("/infer"):
            good = _content("application/json", _ref("InferResponse"))
            yield "post", _operation("Ask the model with tensors", good, "InferError", _body("InferRequest"))
        case _:
            good = _content("application/json", {"type": "object"})
            yield "get", _operation("The Open Inference Protocol's metadata", good, "InferError")


def _operation(
    summary: str,
    good: Described,
    error: str = "Error",
    body: Described | None = None,
    parameters: list[Described] | None = None,
) -> Described:
    failed = _content("application/json", _ref(error))
    if error == "InvocationError":
        failed = {**failed, **_content("text/plain", _TEXT)}
    # The gateway speaks for itself, in the form of `/score`.
    failed = {"application/json": {"schema": {"anyOf": [_ref(error), _ref("Error")]}}, **_others(failed)}
    asks = {"requestBody": body} if body is not None else {}
    return {
        "summary": summary,
        **({"parameters": parameters} if parameters else {}),
        **asks,
        "responses": {
            "200": {"description": "The answer.", "content": good},
            **{status: {"description": text, "content": failed} for status, text in _MEANINGS.items()},
        },
    }


def _others(content: Described) -> Described:
    return {kind: value for kind, value in content.items() if kind != "application/json"}


def _body(name: str) -> Described:
    return {"required": True, "content": _content("application/json", _ref(name))}


def _content(kind: str, schema: Described | None) -> Described:
    return {kind: {} if schema is None else {"schema": schema}}


def _ref(name: str) -> Described:
    return {"$ref": f"#/components/schemas/{name}"}

"""Entry scripts that both servers run: each answers what the request asks it for."""

TEXT = """
import datetime, importlib, logging, os, sys, time

class Late:
    def __init__(self, name):
        self.name = name

    def __getattr__(self, attribute):
        return getattr(importlib.import_module(self.name), attribute)

np, pd = Late("numpy"), Late("pandas")

def init():
    print("init was called")

class Deep(BaseException):
    pass

def nested():
    value = []
    for _ in range(100000):
        value = [value]
    return value

def recurse():
    return recurse()

def throw(error):
    raise error

def say():
    print("printed", "by run", sep="-")
    logging.getLogger("of.the.script").warning("logged by run")
    sys.stderr.write("written by run\\n")
    return "said"

RESULTS = {
    "none": lambda: None,
    "true": lambda: True,
    "text": lambda: "text",
    "text-unicode": lambda: "grüße ☃ \\U0001f600 \\u2028 \\x00",
    "text-surrogate": lambda: "\\ud800",
    "text-empty": lambda: "",
    "bytes": lambda: b"bytes",
    "integer": lambda: 7,
    "integer-huge": lambda: 10 ** 4299,
    "integer-too-huge": lambda: 10 ** 5000,
    "float": lambda: 0.1,
    "float-small": lambda: 1e-300,
    "nan": lambda: float("nan"),
    "infinity": lambda: [float("inf"), float("-inf")],
    "minus-zero": lambda: -0.0,
    "list": lambda: [1, "a", None, [2.5]],
    "list-empty": lambda: [],
    "dict": lambda: {"b": 1, "a": {"c": [True]}},
    "dict-empty": lambda: {},
    "dict-integer-keys": lambda: {1: "a", 2.5: "b", None: "c", True: "d"},
    "dict-tuple-keys": lambda: {(1, 2): "a"},
    "dict-mixed-keys": lambda: {"b": 1, 1: 2},
    "tuple": lambda: (1, 2),
    "tuple-status": lambda: ("body", 418),
    "set": lambda: {1, 2},
    "generator": lambda: (n for n in range(3)),
    "datetime": lambda: datetime.datetime(2026, 1, 2, 3, 4, 5),
    "complex": lambda: 1j,
    "object": lambda: object(),
    "class": lambda: int,
    "circular": lambda: (lambda made: made.append(made) or made)([]),
    "nested": nested,
    "numpy-integer": lambda: np.int64(7),
    "numpy-float": lambda: np.float64(0.5),
    "numpy-float32": lambda: np.float32(0.5),
    "numpy-bool": lambda: np.bool_(True),
    "numpy-array": lambda: np.arange(3),
    "numpy-list": lambda: np.arange(3).tolist(),
    "numpy-in-list": lambda: [np.float64(0.5)],
    "numpy-text": lambda: np.str_("t"),
    "pandas-frame": lambda: pd.DataFrame({"a": [1]}),
    "pandas-json": lambda: pd.DataFrame({"a": [1]}).to_json(orient="records"),
    "pandas-series": lambda: pd.Series([1, 2]),
    "pandas-timestamp": lambda: pd.Timestamp("2026-01-02"),
    "pandas-na": lambda: pd.NA,
    "raise": lambda: throw(ValueError("secret of the script")),
    "raise-key": lambda: throw(KeyError("k")),
    "raise-bare": lambda: throw(Exception()),
    "raise-recursion": recurse,
    "raise-memory": lambda: throw(MemoryError()),
    "raise-timeout": lambda: throw(TimeoutError("mine")),
    "raise-stop": lambda: throw(StopIteration()),
    "raise-exit-group": lambda: throw(ExceptionGroup("several", [ValueError("a")])),
    "raise-generator-exit": lambda: throw(GeneratorExit()),
    "raise-base": lambda: throw(Deep("deep")),
    "raise-interrupt": lambda: throw(KeyboardInterrupt()),
    "raise-exit": lambda: throw(SystemExit(4)),
    "raise-exit-0": lambda: sys.exit(),
    "say": say,
    "slow": lambda: time.sleep(4) or "slow",
    "large": lambda: "x" * 3_000_000,
    "environment": lambda: {name: os.environ.get(name) for name in ("AZUREML_MODEL_DIR", "MINE")},
    "app-root": lambda: os.path.basename(os.environ["AML_APP_ROOT"]),
    "working-directory": lambda: os.path.basename(os.getcwd()),
    "module": lambda: __name__,
}

def run(data):
    if isinstance(data, str) and data.startswith("="):
        return RESULTS[data[1:]]()
    if len(data) > 100_000:
        return {"length": len(data)}
    return {"data": data, "type": type(data).__name__}
"""

HEADERS = """
def init():
    pass

def run(data, request_headers):
    assert type(request_headers) is dict, type(request_headers)
    return {"data": data, "headers": {name: value for name, value in sorted(request_headers.items())}}
"""

NESTED = """
import numpy as np
import pandas as pd
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

def init():
    pass

sample = StandardPythonParameterType({
    "data": NumpyParameterType(np.array([[1.0, 2.0]]), enforce_shape=False),
    "frame": PandasParameterType(pd.DataFrame({"a": [1], "b": ["x"]})),
})

@input_schema("inputs", sample)
@input_schema("options", StandardPythonParameterType({"scale": 1.5, "names": ["a"]}))
@output_schema(StandardPythonParameterType({"sum": 1.0}))
def run(inputs, options=None):
    return {
        "kinds": [type(inputs["data"]).__name__, type(inputs["frame"]).__name__],
        "shape": list(inputs["data"].shape), "columns": list(inputs["frame"].columns), "options": options,
    }
"""

SCHEMA = """
import numpy as np
import pandas as pd
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1.0, 2.0]])))
@input_schema("frame", PandasParameterType(pd.DataFrame({"a": [1], "b": ["x"]}), enforce_column_type=False))
@input_schema("scale", StandardPythonParameterType(1))
@output_schema(NumpyParameterType(np.array([1.0])))
def run(data, frame=None, scale=2, *, request_headers):
    return {
        "data": None if data is None else data.tolist(), "kind": type(data).__name__,
        "frame": None if frame is None else frame.to_dict(orient="list"), "scale": scale,
        "agent": request_headers.get("X-Agent"),
    }
"""

RAW = """
import json
from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

def init():
    pass

def headers(request):
    hidden = {"Connection", "X-Request-Id", "X-Forwarded-For", "X-Forwarded-Proto"}
    return sorted([name, value] for name, value in request.headers.items() if name not in hidden)

ACTIONS = {
    "data": lambda r: {"data": r.get_data().hex(), "length": r.content_length},
    "text": lambda r: {"text": r.get_data(as_text=True)},
    "attribute": lambda r: {"data": r.data.hex()},
    "twice": lambda r: [r.get_data().hex(), r.get_data(cache=False).hex(), r.data.hex()],
    "stream": lambda r: r.stream.read().hex(),
    "json": lambda r: {"json": r.json},
    "get-json": lambda r: {"json": r.get_json()},
    "json-force": lambda r: {"json": r.get_json(force=True)},
    "json-silent": lambda r: {"json": r.get_json(silent=True)},
    "is-json": lambda r: [r.is_json, r.mimetype, r.content_type, r.mimetype_params],
    "form": lambda r: r.form.to_dict(flat=False),
    "form-item": lambda r: r.form["missing"],
    "args": lambda r: r.args.to_dict(flat=False),
    "args-get": lambda r: [r.args.get("x", type=int), r.args.get("y", 5), r.args.getlist("x", type=float)],
    "args-pairs": lambda r: [list(r.args), sorted(r.args.items(multi=True)), "x" in r.args, len(r.args)],
    "args-item": lambda r: r.args["missing"],
    "values": lambda r: r.values.to_dict(flat=False),
    "cookies": lambda r: dict(r.cookies),
    "url": lambda r: [r.path, r.full_path, r.script_root, r.root_path, r.query_string.decode("latin-1")],
    "addresses": lambda r: [r.url, r.base_url, r.host, r.host_url, r.url_root, r.scheme, r.is_secure],
    "method": lambda r: r.method,
    "headers": headers,
    "header": lambda r: [r.headers.get("x-thing"), r.headers.get("X-THING", "d"), "X-Thing" in r.headers,
                         r.headers.get("no", "d"), r.headers.getlist("X-Thing")],
    "header-item": lambda r: r.headers["No-Such"],
    "remote": lambda r: [type(r.remote_addr).__name__, r.remote_user],
    "negotiation": lambda r: [r.accept_mimetypes.best, "application/json" in r.accept_mimetypes],
    "authorization": lambda r: [r.authorization.username, r.authorization.password] if r.authorization else None,
    "files": lambda r: {name: [one.filename, one.name, one.mimetype, one.content_type, one.read().hex()]
                        for name, one in r.files.items()},
    "files-many": lambda r: [one.filename for one in r.files.getlist("file")],
    "files-and-form": lambda r: [r.form.to_dict(), sorted(r.files)],
    "file-missing": lambda r: r.files["missing"],
    "kind": lambda r: isinstance(r, AMLRequest),
    "plain": lambda r: {"a": 1},
    "none": lambda r: None,
    "bytes": lambda r: AMLResponse(b"\\x89PNG\\x00", 200),
    "text-response": lambda r: AMLResponse("grüße", 200),
    "dict-response": lambda r: AMLResponse({"short": 1}, 200),
    "json-response": lambda r: AMLResponse({"ü": [1, None]}, 201, json_str=True),
    "json-text": lambda r: AMLResponse("text", 200, json_str=True),
    "json-nan": lambda r: AMLResponse(float("nan"), 200, json_str=True),
    "none-response": lambda r: AMLResponse(None, 200),
    "none-headers": lambda r: AMLResponse(None, 202, {"X-A": "b"}),
    "none-type": lambda r: AMLResponse(None, 200, {"Content-Type": "text/plain"}),
    "empty-response": lambda r: AMLResponse("", 204),
    "not-modified": lambda r: AMLResponse("body", 304),
    "no-content-body": lambda r: AMLResponse("body", 204),
    "image": lambda r: AMLResponse(b"abc", 200, {"Content-Type": "image/png", "Cache-Control": "no-store"}),
    "type-lower": lambda r: AMLResponse(b"abc", 200, {"content-type": "image/png"}),
    "type-json": lambda r: AMLResponse({"a": 1}, 200, {"Content-Type": "application/problem+json"}, json_str=True),
    "repeated": lambda r: AMLResponse("x", 200, {"Set-Cookie": "a=b, c=d", "X-Many": "1,2 , 3"}),
    "teapot": lambda r: AMLResponse("short", 418),
    "status-404": lambda r: AMLResponse({"message": "none"}, 404, json_str=True),
    "status-500": lambda r: AMLResponse("broken", 500),
    "status-503": lambda r: AMLResponse("later", 503, {"Retry-After": "7"}, run_function_failed=False),
    "status-failed": lambda r: AMLResponse("x", 200, run_function_failed=True),
    "status-599": lambda r: AMLResponse("x", 599),
    "status-299": lambda r: AMLResponse("x", 299),
    "status-600": lambda r: AMLResponse("x", 600),
    "status-999": lambda r: AMLResponse("x", 999),
    "status-1000": lambda r: AMLResponse("x", 1000),
    "status-99": lambda r: AMLResponse("x", 99),
    "status-100": lambda r: AMLResponse("x", 100),
    "status-103": lambda r: AMLResponse("x", 103),
    "status-text": lambda r: AMLResponse("x", "418 I am"),
    "positional": lambda r: AMLResponse("x", 200, {"X-A": "b"}, True, True),
    "own-ids": lambda r: AMLResponse("x", 200, {"x-request-id": "mine", "x-ms-request-id": "mine", "TraceId": "t"}),
    "own-length": lambda r: AMLResponse("12345", 200, {"Content-Length": "2"}),
    "own-encoding": lambda r: AMLResponse("12345", 200, {"Transfer-Encoding": "chunked"}),
    "own-time": lambda r: AMLResponse("x", 200, {"x-ms-run-fn-exec-ms": "1"}),
    "header-break": lambda r: AMLResponse("x", 200, {"X-Evil": "a\\r\\nSet-Cookie: b=c"}),
    "header-name": lambda r: AMLResponse("x", 200, {"X Name": "a"}),
    "header-script": lambda r: AMLResponse("x", 200, {"X-\u65e5": "a"}),
    "header-control": lambda r: AMLResponse("x", 200, {"X-A": "a\\x01b"}),
    "header-number": lambda r: AMLResponse("x", 200, {"X-N": 5}),
    "header-unicode": lambda r: AMLResponse("x", 200, {"X-U": "gr\\u00fc\\u00dfe"}),
    "header-empty": lambda r: AMLResponse("x", 200, {"X-Empty": ""}),
    "iterable": lambda r: AMLResponse(iter(["a", "b"]), 200),
    "integer-response": lambda r: AMLResponse(5, 200),
    "list-response": lambda r: AMLResponse([b"a", b"b"], 200),
    "changed": lambda r: changed(),
    "reads": lambda r: reads(),
    "raise": lambda r: 1 // 0,
}

def changed():
    response = AMLResponse("x", 200)
    response.headers["X-Later"] = "1"
    response.status_code = 202
    response.data = "later"
    response.headers.add("X-Later", "2")
    response.headers.set("X-Set", "3")
    response.set_cookie("c", "v", httponly=True)
    return response

def reads():
    response = AMLResponse({"a": 1}, 201, {"X-A": "b"}, json_str=True)
    return [response.status_code, response.status, response.mimetype, response.content_type,
            response.get_data(as_text=True), response.json, response.headers["x-a"], response.headers.get("no")]

@rawhttp
def run(request):
    return ACTIONS[request.args.get("do", "method")](request)
"""

INSTALLED = """
import flask
from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

def init():
    pass

ACTIONS = {
    "kinds": lambda r: [isinstance(r, flask.Request), issubclass(AMLRequest, flask.Request)],
    "response": lambda r: flask.Response("teapot", 418, {"X-Mine": "1"}),
    "response-500": lambda r: flask.Response("broken", 500),
    "response-stream": lambda r: flask.Response((part for part in ("a", "b")), 200),
    "aml-response": lambda r: AMLResponse({"a": 1}, 201, {"X-A": "b"}, json_str=True),
    "json": lambda r: r.json,
    "data": lambda r: r.get_data(as_text=True),
    "form": lambda r: r.form.to_dict(),
    "url": lambda r: [r.url, r.path, r.method, r.host],
    "files": lambda r: {name: one.read().decode() for name, one in r.files.items()},
    "cookies": lambda r: dict(r.cookies),
    "redirect": lambda r: flask.redirect("/elsewhere"),
    "abort": lambda r: flask.abort(403),
    "context": lambda r: flask.request.path,
    "jsonify": lambda r: flask.jsonify(a=1),
}

@rawhttp
def run(request):
    return ACTIONS[request.args["do"]](request)
"""

"""Where our server answers otherwise than the reference, on purpose; each difference with its reason.

What is not listed here is the same. What is listed here is asserted: a difference that goes away fails the test too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Where = Literal["worker", "gateway"]

IDS = ("header x-request-id", "header x-ms-request-id")
VERSION = "header x-ms-server-version"
TYPE = "header content-type"
FAILED = "header x-ms-run-function-failed"
TIME = "header x-ms-run-fn-exec-ms"
ALL = ("status", "body", TYPE, *IDS, VERSION, FAILED, TIME)
"""Everything that an answer of `run()` has, where the reference gives none."""


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        reason: Why we differ.
        rows: Names of the rows, as the table has them.
        aspects: All in which the two answers differ.
        status: What we answer.
        where: Where it is so.
    """

    reason: str
    rows: tuple[str, ...]
    aspects: tuple[str, ...]
    status: int
    where: tuple[Where, ...] = ("worker", "gateway")


_ONE_FORM = "an error has one form, JSON, also where the reference's HTTP server or framework answers with a page"
_FINAL = "a status below 200 ends no answer (RFC 9110, 15.2): a client would wait for ever"
_PARSE = "a body that is not JSON is the client's mistake, however Python's parser says so"
_ALLOW = "RFC 9110 (15.5.6) asks for `Allow` beside 405"
_HEALTH = "`GET /` of an endpoint is the gateway's own, answered however its workers are"
_LIMITS = "our limits are larger, and say so as JSON"
_FORMS = "the body of an HTML form is what the client sent, so it is handed over"

DIFFERENCES = (
    Difference(
        "a script that raises TimeoutError has failed; the reference takes it for its own time limit",
        ("result/raise-timeout",),
        ("body",),
        500,
    ),
    Difference(
        "what ends a Python process is a failed request of one client, and a failure answered as all are",
        (
            *("result/raise-generator-exit", "result/raise-base", "result/raise-interrupt", "result/raise-exit"),
            *("result/raise-exit-0", "raw/integer-response"),
        ),
        ("body", TYPE, *IDS, VERSION, FAILED),
        500,
    ),
    Difference(_FORMS, ("text/type-form", "text/form", "text/multipart"), ("body",), 200),
    Difference(_FORMS, ("raw/attribute of form", "raw/attribute of multipart"), ("body",), 200),
    Difference(_ONE_FORM, ("query/raw-utf8", "path/unicode"), ("body", TYPE), 400),
    Difference(
        _ONE_FORM,
        (
            *("raw/status-1000", "raw/status-99"),
            *("raw/header-name", "raw/header-script", "raw/header-control"),
        ),
        ("body", TYPE, *IDS, VERSION, FAILED),
        500,
    ),
    Difference(_FINAL, ("raw/status-100",), ("status", "body", TYPE, *IDS, VERSION, FAILED), 500),
    Difference(_FINAL, ("raw/status-103",), ("status", "body", TYPE, TIME), 500),
    Difference(
        _ALLOW,
        tuple(
            f"route/{method} {path}"
            for path in ("/", "/swagger.json")
            for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")
        ),
        ("header allow",),
        405,
    ),
    Difference(
        _ALLOW,
        (
            *(f"route/{method} /score" for method in ("PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")),
            *(f"id/{name} not allowed" for name in ("x-request-id", "x-ms-request-id", "x-ms-client-request-id")),
            *("cors-one/put", "schema/put", "raw/PUT", "raw/PATCH", "raw/DELETE"),
        ),
        ("header allow",),
        405,
    ),
    Difference(
        "a path is compared as it is written; the reference's HTTP server takes `//score` for `/score`",
        ("path/double",),
        ("status", "body", *IDS, TIME, VERSION),
        404,
    ),
    Difference(
        "paths below /v2 belong to the Open Inference Protocol, and errors there have its form",
        ("path/v2",),
        ("body", *IDS, VERSION),
        404,
    ),
    Difference(
        "a header name with an underscore is a legal one, and there is no CGI variable to confuse it with",
        ("headers/kinds", "headers/of-get"),
        ("body",),
        200,
    ),
    Difference(
        "AML_APP_ROOT is the code directory that was verified, whatever the variable said before",
        ("named/app-root",),
        ("body",),
        200,
    ),
    Difference(_LIMITS, ("huge/header", "huge/headers", "huge/target"), ALL, 200, ("worker",)),
    Difference(_LIMITS, ("huge/header of 9 KiB",), ALL, 200),
    Difference(_ONE_FORM, ("huge/header", "huge/headers"), ("body", TYPE), 431, ("gateway",)),
    Difference(_ONE_FORM, ("huge/target",), ("body", TYPE), 414, ("gateway",)),
    Difference(
        "a body has at most 64 MiB at a gateway, so that its memory is bounded",
        ("huge/body",),
        ("status", "body", *IDS, VERSION, FAILED, TIME),
        413,
        ("gateway",),
    ),
    Difference(
        "a pattern of origins has to match the whole of an origin, or it lets in those that merely begin so",
        ("cors-pattern/beyond",),
        ("header access-control-allow-origin", "header vary"),
        200,
    ),
    Difference(
        _PARSE,
        (
            *("schema/raw-too-huge-integer", "schema/raw-nested", "schema/raw-invalid-utf8"),
            "schema/raw-invalid-utf8-only",
        ),
        ("status", "body"),
        400,
    ),
    Difference("of two content types the first one counts", ("schema/type-twice",), ALL, 200),
    Difference("an AMLRequest is one also where Flask is not installed", ("raw/kind",), ("body",), 200),
    Difference("an answer has one content type, the script's", ("raw/type-lower",), (TYPE,), 200),
    Difference("a length is that of the body, whatever the script says", ("raw/own-length",), ALL, 200),
    Difference(
        _HEALTH,
        (
            *("route/GET /", "route/HEAD /", "id/x-request-id health", "id/x-ms-request-id health"),
            "id/x-ms-client-request-id health",
        ),
        (TYPE, VERSION),
        200,
        ("gateway",),
    ),
    Difference(_HEALTH, ("trace/health",), (TYPE, VERSION, "header traceid"), 200, ("gateway",)),
    Difference(_HEALTH, ("cors-one/health",), (TYPE, VERSION, "header access-control-allow-origin"), 200, ("gateway",)),
    Difference(
        _HEALTH,
        ("id/x-request-id health 101",),
        ("status", "body", TYPE, *IDS, VERSION, FAILED),
        200,
        ("gateway",),
    ),
    Difference(
        _HEALTH,
        ("id/x-ms-request-id health 101", "id/x-ms-client-request-id health 101"),
        ("status", "body", TYPE, "header x-ms-request-id", VERSION, FAILED),
        200,
        ("gateway",),
    ),
)


def expected(row: str, where: Where) -> Difference | None:
    """How a row's answers are to differ; None where they are to be the same."""
    found = [difference for difference in DIFFERENCES if row in difference.rows and where in difference.where]
    assert len(found) <= 1, f"{row} is listed twice"
    return found[0] if found else None


def listed() -> Iterable[str]:
    """Every row that is listed."""
    return (row for difference in DIFFERENCES for row in difference.rows)

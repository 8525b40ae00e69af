"""The requests to scripts that read and write HTTP themselves."""

from __future__ import annotations

from collections.abc import Iterator

from tests.scoring.conformance.replies import Headers, Request
from tests.scoring.conformance.table import FORM, JSON

_TEXT = '{"k": "ü"}'.encode()
_MULTIPART = (
    b'--B\r\nContent-Disposition: form-data; name="note"\r\n\r\nh\xc3\xbc\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    b"\x00\r\n\x01\r\n"
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="b \xc3\xbc.txt"\r\n\r\nsecond\r\n'
    b'--B\r\nContent-Disposition: form-data; name="empty"; filename=""\r\n\r\n\r\n--B--\r\n'
)
_PLAIN_ACTIONS = (
    *("kind", "plain", "none", "bytes", "text-response", "dict-response", "json-response", "json-text", "json-nan"),
    *("none-response", "none-headers", "none-type", "empty-response", "not-modified", "no-content-body", "image"),
    *("type-lower", "type-json", "repeated", "teapot", "status-404", "status-500", "status-503", "status-failed"),
    *("status-599", "status-600", "status-999", "status-1000", "status-99", "status-100", "status-103", "status-299"),
    *("status-text", "positional", "own-ids", "own-length", "own-encoding", "own-time"),
    *(
        "header-name",
        "header-script",
        "header-control",
        "header-break",
        "header-number",
        "header-unicode",
        "header-empty",
        "iterable",
        "integer-response",
    ),
    *("list-response", "changed", "reads", "raise", "unknown", "form-item", "args-item", "header-item"),
    "file-missing",
)


def _reading() -> Iterator[Request]:
    bodies: dict[str, tuple[Headers, bytes]] = {
        "json": (JSON, _TEXT),
        "json-charset": ((("Content-Type", "application/json; charset=utf-8"),), _TEXT),
        "json-suffix": ((("Content-Type", "application/a+json"),), _TEXT),
        "no-type": ((), _TEXT),
        "text": ((("Content-Type", "text/plain"),), _TEXT),
        "broken": (JSON, b"{"),
        "empty": (JSON, b""),
        "invalid": (JSON, b"\xff"),
        "form": (FORM, b"a=1&b=%C3%BC+x&a=2&c="),
        "form-broken": (FORM, b"%zz&&=&a"),
        "form-latin": (FORM, b"a=\xfc"),
        "multipart": ((("Content-Type", "multipart/form-data; boundary=B"),), _MULTIPART),
        "multipart-quoted": ((("Content-Type", 'multipart/form-data; boundary="B"'),), _MULTIPART),
        "multipart-no-boundary": ((("Content-Type", "multipart/form-data"),), _MULTIPART),
        "multipart-cut": ((("Content-Type", "multipart/form-data; boundary=B"),), _MULTIPART[:60]),
        "multipart-empty": ((("Content-Type", "multipart/form-data; boundary=B"),), b"--B--\r\n"),
        "multipart-garbage": ((("Content-Type", "multipart/form-data; boundary=B"),), b"no parts"),
    }
    actions = {
        "json": ("data", "text", "attribute", "twice", "json", "get-json", "json-force", "json-silent", "is-json"),
        "json-charset": ("json", "is-json"),
        "json-suffix": ("json", "is-json"),
        "no-type": ("data", "attribute", "json", "json-force", "json-silent", "is-json", "stream"),
        "text": ("json", "json-force", "text", "is-json"),
        "broken": ("json", "json-force", "json-silent"),
        "empty": ("json", "json-force", "json-silent", "data", "stream"),
        "invalid": ("json", "text", "data"),
        "form": ("form", "values", "data", "attribute", "files", "text"),
        "form-broken": ("form",),
        "form-latin": ("form",),
        "multipart": ("form", "files", "files-many", "files-and-form", "values", "data", "attribute", "is-json"),
        "multipart-quoted": ("files-and-form",),
        "multipart-no-boundary": ("files-and-form",),
        "multipart-cut": ("files-and-form",),
        "multipart-empty": ("files-and-form",),
        "multipart-garbage": ("files-and-form",),
    }
    for kind, names in actions.items():
        headers, body = bodies[kind]
        for name in names:
            yield Request(f"raw/{name} of {kind}", "raw", target=f"/score?do={name}", headers=headers, body=body)


def _asking() -> Iterator[Request]:
    for name in _PLAIN_ACTIONS:
        yield Request(f"raw/{name}", "raw", target=f"/score?do={name}", body=b"x")
    for method in ("GET", "OPTIONS", "PUT", "PATCH", "DELETE", "HEAD"):
        yield Request(f"raw/{method}", "raw", method, "/score?do=method")
    yield Request("raw/GET image", "raw", "GET", "/score?do=image", body=None)
    yield Request("raw/OPTIONS image", "raw", "OPTIONS", "/score?do=image")
    for name, query in {
        "none": "",
        "plain": "&x=1&y=2",
        "repeated": "&x=1&x=2.5&x=a",
        "percent": "&x=%C3%BC%26&%C3%BC=+",
        "invalid": "&x=%FF",
        "blank": "&x&y=",
    }.items():
        for action in ("args", "args-get", "args-pairs", "url", "values"):
            yield Request(f"raw/{action} {name}", "raw", target=f"/score?do={action}{query}", body=b"")
    given: Headers = (("X-Thing", "a"), ("x-thing", "b"), ("Accept", "application/json;q=0.5, text/html"))
    for action in ("headers", "header", "negotiation", "remote", "addresses", "authorization", "cookies"):
        yield Request(f"raw/{action}", "raw", target=f"/score?do={action}", headers=given, body=b"x")
    cookies: Headers = (("Cookie", 'a=b; c="d e"; f'), ("Authorization", "Basic dXNlcjpwYXNz"))
    yield Request("raw/cookies given", "raw", target="/score?do=cookies", headers=cookies, body=b"")
    yield Request("raw/authorization given", "raw", target="/score?do=authorization", headers=cookies, body=b"")
    ids: Headers = (("x-request-id", "r"), ("TraceId", "t"))
    yield Request("raw/own-ids given", "raw", target="/score?do=own-ids", headers=ids, body=b"")


def _installed() -> Iterator[Request]:
    names = ("kinds", "response", "response-500", "response-stream", "aml-response", "url", "redirect", "abort")
    for name in (*names, "context", "jsonify", "cookies"):
        headers: Headers = (("Cookie", "a=b"),)
        yield Request(f"installed/{name}", "installed", target=f"/score?do={name}", headers=headers, body=b"x")
    for name in ("json", "data"):
        yield Request(f"installed/{name}", "installed", target=f"/score?do={name}", headers=JSON, body=_TEXT)
    yield Request("installed/form", "installed", target="/score?do=form", headers=FORM, body=b"a=1")
    multipart: Headers = (("Content-Type", "multipart/form-data; boundary=B"),)
    yield Request("installed/files", "installed", target="/score?do=files", headers=multipart, body=_MULTIPART[61:])


def raw_requests() -> tuple[Request, ...]:
    """The table for scripts under `@rawhttp`."""
    return (*_reading(), *_asking(), *_installed())

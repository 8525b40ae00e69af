"""The requests that both servers are sent: good ones, malformed ones, huge ones, odd ones."""

from __future__ import annotations

from collections.abc import Iterator

from tests.scoring.conformance.replies import Headers, Request

JSON: Headers = (("Content-Type", "application/json"),)
FORM: Headers = (("Content-Type", "application/x-www-form-urlencoded"),)
_TYPES = {
    "plain": "text/plain",
    "charset": "application/json; charset=utf-8",
    "charset-latin": "application/json; charset=latin-1",
    "upper": "APPLICATION/JSON",
    "suffix": "application/vnd.model+json",
    "suffix-text": "text/x+json",
    "text-json": "text/json",
    "octets": "application/octet-stream",
    "garbage": ";;;",
    "empty": "",
    "form": "application/x-www-form-urlencoded",
    "two": "application/json, text/plain",
    "spaced": "  application/json  ;charset=utf-8",
}
_QUERIES = {
    "none": "",
    "mark": "?",
    "one": "?a=1",
    "kinds": "?a=1&b=[1,2]&c=a&d=null&e=1.5&f=true&g={%22h%22:1}",
    "repeated": "?foo=bar1&foo=bar2&x=y",
    "repeated-apart": "?a=1&b=2&a=3",
    "blank": "?a=&b",
    "no-name": "?=1",
    "plus": "?a=b+c",
    "percent": "?a=%C3%BC%26",
    "percent-invalid-utf8": "?a=%FF",
    "percent-broken": "?a=%zz%",
    "raw-utf8": b"/score?a=\xc3\xbc",
    "semicolon": "?a=1;b=2",
    "ampersands": "?&&a=1&&",
    "nan": "?a=NaN&b=Infinity&c=1e400",
    "unicode-name": "?%C3%BC=1",
    "case": "?A=1&a=2",
    "large-integer": "?a=123456789012345678901234567890",
    "fragment": "?a=1%23b",
}
_RESULTS = (
    *("none", "true", "text", "text-unicode", "text-surrogate", "text-empty", "bytes", "integer", "integer-huge"),
    *("integer-too-huge", "float", "float-small", "nan", "infinity", "minus-zero", "list", "list-empty", "dict"),
    *("dict-empty", "dict-integer-keys", "dict-tuple-keys", "dict-mixed-keys", "tuple", "tuple-status", "set"),
    *("generator", "datetime", "complex", "object", "class", "circular", "nested", "numpy-integer", "numpy-float"),
    *("numpy-float32", "numpy-bool", "numpy-array", "numpy-list", "numpy-in-list", "numpy-text", "pandas-frame"),
    *("pandas-json", "pandas-series", "pandas-timestamp", "pandas-na", "raise", "raise-key", "raise-bare"),
    *("raise-recursion", "raise-memory", "raise-timeout", "raise-stop", "raise-exit-group", "raise-generator-exit"),
    *("raise-base", "raise-interrupt", "raise-exit", "raise-exit-0", "say", "slow", "large", "working-directory"),
    *("module", "environment", "app-root", "unknown"),
)
"""What `run()` gives; the last one is a KeyError of the script."""


def _results() -> Iterator[Request]:
    for result in _RESULTS:
        yield Request(f"result/{result}", "text", body=f"={result}".encode())


def _texts() -> Iterator[Request]:
    bodies = {
        "text": b"hello",
        "empty": b"",
        "json": b'{"a": [1, 2.5, null]}',
        "broken-json": b'{"a":',
        "utf8": "grüße ☃".encode(),
        "invalid-utf8": b"ab\xff\xfe",
        "truncated-utf8": "ü".encode()[:1],
        "bom": b'\xef\xbb\xbf{"a": 1}',
        "utf16": "hello".encode("utf-16"),
        "zero": b"a\x00b",
        "lines": b"a\r\nb\n",
        "10-mb": b"x" * 10_000_000,
    }
    for name, body in bodies.items():
        yield Request(f"text/{name}", "text", body=body)
    yield Request("text/no-length", "text", body=None)
    for name, kind in _TYPES.items():
        yield Request(f"text/type-{name}", "text", headers=(("Content-Type", kind),), body=b'{"a": 1}')
    yield Request("text/form", "text", headers=FORM, body=b"a=1&b=2")
    multipart: Headers = (("Content-Type", "multipart/form-data; boundary=B"),)
    part = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--B--\r\n'
    yield Request("text/multipart", "text", headers=multipart, body=part)
    for name, query in _QUERIES.items():
        target = query if isinstance(query, bytes) else f"/score{query}"
        yield Request(f"query/{name}", "text", "GET", target, body=None)
    yield Request("query/with-body", "text", "GET", "/score?a=1", body=b"ignored")
    yield Request("query/of-post", "text", "POST", "/score?a=1", body=b"used")
    chunked: Headers = (("Transfer-Encoding", "chunked"),)
    yield Request("text/chunked", "text", headers=chunked, body=None, chunks=b"2\r\nhe\r\n3;e=1\r\nllo\r\n0\r\n\r\n")
    yield Request("text/chunked-empty", "text", headers=chunked, body=None, chunks=b"0\r\n\r\n")


def _routes() -> Iterator[Request]:
    for path in ("/", "/score", "/swagger.json", "/nothing"):
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"):
            yield Request(f"route/{method} {path}", "text", method, path)
    targets: dict[str, str | bytes] = {
        "slash": "/score/",
        "double": "//score",
        "case": "/Score",
        "dots": "/a/../score",
        "percent": "/%73core",
        "percent-slash": "/score%2F",
        "null": "/score%00",
        "below": "/score/blue",
        "query": "/?x=1",
        "absolute": "http://model.test/score",
        "absolute-other": "http://other.test/score",
        "unicode": b"/sc\xc3\xb6re",
        "semicolon": "/score;a=1",
        "empty-segment": "/score//",
        "swagger-slash": "/swagger.json/",
        "v2": "/v2/health/live/no",
    }
    for name, target in targets.items():
        yield Request(f"path/{name}", "text", "GET" if name == "query" else "POST", target, body=b"x")
    for version in ("2", "2.0", "3", "3.0", "3.1", "4", "", "2.1", "x%22", "03"):
        for setup in ("text", "schema", "nested", "own-swagger", "named"):
            if setup == "text" or version in {"2", "3", "3.1", "4"}:
                target = f"/swagger.json?version={version}"
                yield Request(f"swagger/{setup} {version}", setup, "GET", target, body=None)
    for setup in ("text", "own-swagger", "own-swagger-2"):
        yield Request(f"swagger/{setup}", setup, "GET", "/swagger.json", body=None)
    yield Request("swagger/repeated", "text", "GET", "/swagger.json?version=3&version=2", body=None)
    yield Request("swagger/other", "text", "GET", "/swagger.json?Version=3", body=None)


def _ids() -> Iterator[Request]:
    names = ("x-request-id", "x-ms-request-id", "x-ms-client-request-id")
    for name in names:
        values: dict[str, str | bytes] = {
            "short": "abc",
            "100": "a" * 100,
            "101": "a" * 101,
            "1000": "a" * 1000,
            "empty": "",
            "latin": b"gr\xfc\xdfe",
            "utf8": "grüße".encode(),
            "spaces": "a b  c",
            "99-utf8": b"\xc3\xbc" * 50,
            "102-utf8": b"\xc3\xbc" * 51,
        }
        for kind, value in values.items():
            yield Request(f"id/{name} {kind}", "text", headers=((name, value),), body=b"x")
        yield Request(f"id/{name} upper", "text", headers=((name.upper(), "abc"),), body=b"x")
        yield Request(f"id/{name} health", "text", "GET", "/", headers=((name, "abc"),), body=None)
        yield Request(f"id/{name} health 101", "text", "GET", "/", headers=((name, "a" * 101),), body=None)
        yield Request(f"id/{name} swagger", "text", "GET", "/swagger.json", headers=((name, "abc"),), body=None)
        yield Request(f"id/{name} options", "text", "OPTIONS", headers=((name, "abc"),))
        yield Request(f"id/{name} nothing", "text", "GET", "/nothing", headers=((name, "abc"),), body=None)
        yield Request(f"id/{name} not allowed", "text", "PUT", headers=((name, "abc"),))
        yield Request(f"id/{name} failed", "text", headers=((name, "abc"),), body=b"=raise")
        yield Request(f"id/{name} twice", "text", headers=((name, "a"), (name, "b")), body=b"x")
    yield Request("id/both", "text", headers=(("x-ms-request-id", "a"), ("x-ms-client-request-id", "b")), body=b"x")
    yield Request("id/all", "text", headers=tuple((name, f"of {name}") for name in names), body=b"x")
    yield Request("id/all-101", "text", headers=tuple((name, "a" * 101) for name in names), body=b"x")
    yield Request("id/empty-legacy", "text", headers=(("x-ms-request-id", ""), ("x-request-id", "r")), body=b"x")
    for name, value in {"short": "t", "empty": "", "long": "t" * 500}.items():
        yield Request(f"trace/{name}", "text", headers=(("TraceId", value),), body=b"x")
    yield Request("trace/failed", "text", headers=(("TraceId", "t"),), body=b"=raise")
    yield Request("trace/health", "text", "GET", "/", headers=(("TraceId", "t"),), body=None)
    yield Request("trace/refused", "text", headers=(("TraceId", "t"), ("x-request-id", "a" * 101)), body=b"x")
    yield Request("trace/nothing", "text", "GET", "/nothing", headers=(("TraceId", "t"),), body=None)


def _headers() -> Iterator[Request]:
    given: Headers = (
        ("x-lower-case", "1"),
        ("X-UPPER", "2"),
        ("Accept", "*/*"),
        ("x_under", "3"),
        ("X-Empty", ""),
        ("X-Latin", b"gr\xfc\xdfe"),
        ("User-Agent", "table"),
    )
    yield Request("headers/kinds", "headers", headers=given, body=b"x")
    yield Request("headers/of-get", "headers", "GET", "/score?a=1", headers=given, body=None)
    yield Request("headers/repeated", "headers", headers=(("X-A", "1"), ("X-A", "2"), ("Accept", "a")), body=b"x")
    yield Request("headers/type", "headers", headers=JSON, body=b"{}")
    yield Request("headers/cookie", "headers", headers=(("Cookie", "a=b; c=d"),), body=b"x")
    yield Request("headers/authorization", "headers", headers=(("Authorization", "Bearer secret"),), body=b"x")
    yield Request("headers/ids", "headers", headers=(("x-request-id", "r"), ("TraceId", "t")), body=b"x")
    yield Request("headers/long", "headers", headers=(("X-Long", "a" * 7000),), body=b"x")


def _cross_origin() -> Iterator[Request]:
    origin = "https://shop.test"
    for setup in ("text", "cors-one", "cors-several", "cors-all", "cors-pattern"):
        for kind, value in {
            "listed": origin,
            "case": "https://SHOP.test",
            "other": "https://evil.test",
            "second": "http://localhost:3000",
            "suffix": "https://shop.test.evil.test",
            "beyond": "https://shop.test.evil.example",
            "null": "null",
            "none": None,
            "empty": "",
        }.items():
            if setup != "text" or kind == "listed":
                headers: Headers = () if value is None else (("Origin", value),)
                yield Request(f"{setup}/{kind}", setup, headers=headers, body=b"x")
        preflight = (("Origin", origin), ("Access-Control-Request-Method", "POST"))
        wanted = (*preflight, ("Access-Control-Request-Headers", "content-type, authorization,x-b, X-A"))
        yield Request(f"{setup}/preflight", setup, "OPTIONS", headers=preflight)
        yield Request(f"{setup}/preflight-headers", setup, "OPTIONS", headers=wanted)
        other = (("Origin", "https://evil.test"), preflight[1])
        yield Request(f"{setup}/preflight-other", setup, "OPTIONS", headers=other)
    for kind, method in {"put": "PUT", "lower": "post", "get": "GET"}.items():
        asked: Headers = (("Origin", origin), ("Access-Control-Request-Method", method))
        yield Request(f"cors-one/preflight-{kind}", "cors-one", "OPTIONS", headers=asked)
    private: Headers = (
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Private-Network", "true"),
    )
    yield Request("cors-one/preflight-private", "cors-one", "OPTIONS", headers=private)
    from_shop: Headers = (("Origin", origin),)
    yield Request("cors-one/failed", "cors-one", headers=from_shop, body=b"=raise")
    yield Request("cors-one/bad", "cors-one", headers=from_shop, body=b"\xff")
    yield Request("cors-one/health", "cors-one", "GET", "/", headers=from_shop, body=None)
    yield Request("cors-one/swagger", "cors-one", "GET", "/swagger.json", headers=from_shop, body=None)
    yield Request("cors-one/preflight-health", "cors-one", "OPTIONS", "/", headers=preflight, body=None)
    yield Request("cors-one/nothing", "cors-one", "GET", "/nothing", headers=from_shop, body=None)
    yield Request("cors-one/put", "cors-one", "PUT", headers=from_shop)
    yield Request("cors-one/id", "cors-one", headers=(*from_shop, ("x-request-id", "a" * 101)), body=b"x")
    yield Request("cors-raw/preflight", "cors-raw", "OPTIONS", "/score?do=method", headers=preflight)
    yield Request("cors-raw/own-vary", "cors-raw", target="/score?do=none-headers", headers=from_shop)


def _environment() -> Iterator[Request]:
    yield Request("named/score", "named", body=b"x")
    yield Request("named/failed", "named", body=b"=raise")
    yield Request("named/slow", "named", body=b"=slow")
    yield Request("named/after-slow", "named", body=b"after")
    yield Request("named/environment", "named", body=b"=environment")
    yield Request("named/app-root", "named", body=b"=app-root")
    yield Request("named/prefixed", "named", target="/prefix/score", body=b"x")


def _huge() -> Iterator[Request]:
    yield Request("huge/body", "text", body=b"x" * (65 * 1024 * 1024))
    yield Request("huge/body below the limit", "text", body=b"x" * (63 * 1024 * 1024))
    yield Request("huge/header", "text", headers=(("X-Huge", "a" * 40_000),), body=b"x")
    yield Request("huge/header of 8 KiB", "text", headers=(("X-Huge", "a" * 8180),), body=b"x")
    yield Request("huge/header of 9 KiB", "text", headers=(("X-Huge", "a" * 9000),), body=b"x")
    yield Request("huge/headers", "text", headers=tuple((f"X-{n}", "a") for n in range(110)), body=b"x")
    yield Request("huge/90 headers", "text", headers=tuple((f"X-{n}", "a") for n in range(90)), body=b"x")
    yield Request("huge/target", "text", "GET", "/score?a=" + "a" * 9000, body=None)
    yield Request("huge/4000 in the target", "text", "GET", "/score?a=" + "a" * 4000, body=None)


def requests() -> tuple[Request, ...]:
    """The table for scripts that take text, and all that does not depend on the script."""
    parts = (_results(), _texts(), _routes(), _ids(), _headers(), _cross_origin(), _environment(), _huge())
    return tuple(request for part in parts for request in part)

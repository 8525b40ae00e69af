"""`AMLResponse`, for entry scripts that write HTTP themselves; Azure ML's own class is Flask's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from http.cookies import SimpleCookie

from mlops_scoring.worker.multi_values import Headers

_ENTITY = frozenset({"allow", "content-encoding", "content-language", "content-md5", "content-range", "content-type"})


class AMLResponse:
    """A response that a script makes itself; signature and meaning of Azure ML's.

    Args:
        message: The body; None is an empty JSON object; an iterator, such as a generator of text or bytes, is sent
            piece by piece as it is made.
        status_code: The status, as a number or as `418 I am a teapot`.
        response_headers: Headers; a value with commas becomes several headers.
        json_str: Write `message` as JSON.
        run_function_failed: What `x-ms-run-function-failed` says.
    """

    def __init__(
        self,
        message: object,
        status_code: int | str,
        response_headers: Mapping[str, str] | None = None,
        json_str: bool = False,  # noqa: FBT001, FBT002 - Azure ML's own signature
        run_function_failed: bool = False,  # noqa: FBT001, FBT002 - as above
    ) -> None:
        """Make a response."""
        self.status_code = _code(status_code)
        self.headers = Headers()
        self._pieces: Iterator[object] | None = None
        if message is None or json_str:
            self._data = json.dumps({} if message is None else message).encode()
            self.headers.add("Content-Type", "application/json")
        else:
            self._take(message)
            self.headers.add("Content-Type", "text/html; charset=utf-8")
        self.headers.add("x-ms-run-function-failed", run_function_failed)
        for name, value in (response_headers or {}).items():
            if name.lower() == "content-type" and message is not None and not json_str:
                self.headers.remove(name)
            for part in value.split(","):
                self.headers.add(name, part.strip())

    @property
    def status(self) -> str:
        """The status as HTTP writes it."""
        try:
            phrase = HTTPStatus(self.status_code).phrase.upper()
        except ValueError:
            phrase = "UNKNOWN"
        return f"{self.status_code} {phrase}"

    @status.setter
    def status(self, value: int | str) -> None:
        self.status_code = _code(value)

    @property
    def content_type(self) -> str | None:
        """The content type."""
        found: str | None = self.headers.get("content-type")
        return found

    @content_type.setter
    def content_type(self, value: str) -> None:
        self.headers["Content-Type"] = value

    @property
    def mimetype(self) -> str:
        """The content type without its parameters."""
        return (self.content_type or "").partition(";")[0].strip().lower()

    @property
    def json(self) -> object:
        """The body as JSON."""
        return json.loads(self.data)

    @property
    def data(self) -> bytes:
        """The body; one that is sent in pieces is made whole by this."""
        if self._pieces is not None:
            self._data, self._pieces = _bytes(self._pieces), None
        return self._data

    @data.setter
    def data(self, value: object) -> None:
        self._take(value)

    @property
    def is_streamed(self) -> bool:
        """Whether the body is sent in pieces."""
        return self._pieces is not None

    def iter_encoded(self) -> Iterator[bytes]:
        """The body's pieces as bytes."""
        return (_bytes(piece) for piece in self._pieces or (self._data,))

    def _take(self, value: object) -> None:
        self._pieces = value if isinstance(value, Iterator) else None
        self._data = b"" if self._pieces is not None else _bytes(value)

    def get_data(self, as_text: bool = False) -> bytes | str:  # noqa: FBT001, FBT002 - Flask's own signature
        """The body."""
        return self.data.decode() if as_text else self.data

    def set_data(self, value: object) -> None:
        """Replace the body."""
        self._take(value)

    def set_cookie(self, key: str, value: str = "", **attributes: object) -> None:
        """Add a `Set-Cookie` header.

        Args:
            key: Name of the cookie.
            value: Its value.
            attributes: max_age, expires, path, domain, secure, httponly, samesite; the path is `/` unless given.
        """
        cookie: SimpleCookie = SimpleCookie()
        cookie[key] = value
        for name, given in {"path": "/", **attributes}.items():
            if given is not None and given is not False:
                cookie[key][name.replace("_", "-")] = given
        self.headers.add("Set-Cookie", cookie[key].OutputString())

    def header_list(self) -> list[tuple[str, str]]:
        """The headers that belong to the status: 304 tells nothing of a body (RFC 9110, 15.4.5)."""
        pairs = [(name, str(value)) for name, value in self.headers.items()]
        return [pair for pair in pairs if self.status_code != 304 or pair[0].lower() not in _ENTITY]


def _code(status: int | str) -> int:
    return int(status.split(None, 1)[0]) if isinstance(status, str) else int(status)


def _bytes(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, Iterable):
        return b"".join(_bytes(part) for part in value)
    raise TypeError(f"the body of an AMLResponse is text or bytes, not {type(value).__name__}")

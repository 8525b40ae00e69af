"""`AMLRequest`, `AMLResponse` and `rawhttp`, for entry scripts that read and write HTTP themselves.

Azure ML's own classes are Flask's. These have what scripts use of them, and need no Flask.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.message import Message
from functools import cached_property
from io import BytesIO
from typing import Generic, TypeVar
from urllib.parse import parse_qsl

from mlops_scoring.worker.multipart import FileStorage, parse_multipart
from mlops_scoring.worker.scoring import ScoringRequest

Value = TypeVar("Value")
Run = TypeVar("Run", bound=Callable[..., object])

_FORM = "application/x-www-form-urlencoded"


class MultiDict(dict[str, Value], Generic[Value]):
    """A mapping to the first value of each name that also knows the others."""

    def __init__(self, pairs: Iterable[tuple[str, Value]]) -> None:
        """Take pairs in their order."""
        super().__init__()
        self._lists: dict[str, list[Value]] = {}
        for name, value in pairs:
            self.setdefault(name, value)
            self._lists.setdefault(name, []).append(value)

    def getlist(self, name: str) -> list[Value]:
        """All values of a name."""
        return list(self._lists.get(name, ()))

    def to_dict(self, *, flat: bool = True) -> dict[str, Value] | dict[str, list[Value]]:
        """A plain dictionary, of first values or of all."""
        return dict(self) if flat else {name: list(values) for name, values in self._lists.items()}


class Headers:
    """Header names and values; names in any case."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        """Take pairs in their order."""
        self._pairs = list(pairs)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value, or the default."""
        return next((value for found, value in self._pairs if found.lower() == name.lower()), default)

    def getlist(self, name: str) -> list[str]:
        """All values."""
        return [value for found, value in self._pairs if found.lower() == name.lower()]

    def add(self, name: str, value: object) -> None:
        """Add a value beside those that are there."""
        self._pairs.append((name, str(value)))

    add_header = add

    def remove(self, name: str) -> None:
        """Remove all values of a name."""
        self._pairs = [pair for pair in self._pairs if pair[0].lower() != name.lower()]

    def items(self) -> list[tuple[str, str]]:
        """All pairs, in order."""
        return list(self._pairs)

    def keys(self) -> list[str]:
        """All names, in order."""
        return [name for name, _ in self._pairs]

    def __getitem__(self, name: str) -> str:
        """The first value.

        Raises:
            KeyError: There is none.
        """
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: object) -> None:
        """Replace all values of a name."""
        self.remove(name)
        self.add(name, value)

    set = __setitem__
    __delitem__ = remove

    def __contains__(self, name: object) -> bool:
        """Whether there is a value."""
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """All pairs, so that `dict(headers)` works as it does with Werkzeug's."""
        return iter(self._pairs)

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self._pairs)


def title(name: str) -> str:
    """A header name as WSGI servers spell it: `X-Ms-Request-Id`."""
    return "-".join(part.capitalize() for part in name.split("-"))


class AMLRequest:
    """A request, with the attributes of Flask's that scripts use."""

    def __init__(self, request: ScoringRequest) -> None:
        """Spell a request as Flask does."""
        self._request = request
        self.method = request.method
        self.path = request.path
        self.query_string = request.query
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
        self.headers = Headers((title(name), value) for name, value in pairs)
        self.data = request.body
        self.content_type = self.headers.get("content-type")
        self.content_length = len(request.body)
        self.mimetype = (self.content_type or "").partition(";")[0].strip().lower()
        self.is_json = self.mimetype == "application/json" or (
            self.mimetype.startswith("application/") and self.mimetype.endswith("+json")
        )
        self.stream = BytesIO(request.body)

    @property
    def full_path(self) -> str:
        """Path and query; ends with `?` when there is no query, as Flask has it."""
        return f"{self.path}?{self.query_string.decode('latin-1')}"

    @property
    def url(self) -> str:
        """The address that the client asked for, as far as it is known here."""
        suffix = f"?{self.query_string.decode('latin-1')}" if self.query_string else ""
        return f"http://{self.headers.get('host', 'localhost')}{self.path}{suffix}"

    @cached_property
    def args(self) -> MultiDict[str]:
        """Parameters of the query."""
        return MultiDict(parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True))

    @cached_property
    def _multipart(self) -> tuple[list[tuple[str, str]], list[tuple[str, FileStorage]]]:
        described = Message()
        described["content-type"] = self.content_type or ""
        return parse_multipart(self.data, str(described.get_param("boundary", "")))

    @cached_property
    def form(self) -> MultiDict[str]:
        """Fields of a form."""
        if self.mimetype == _FORM:
            return MultiDict(parse_qsl(self.data.decode(), keep_blank_values=True))
        return MultiDict(self._multipart[0] if self.mimetype == "multipart/form-data" else ())

    @cached_property
    def files(self) -> MultiDict[FileStorage]:
        """Files of a form."""
        return MultiDict(self._multipart[1] if self.mimetype == "multipart/form-data" else ())

    @property
    def values(self) -> MultiDict[str]:
        """Parameters of the query and fields of the form."""
        return MultiDict([*self.args.items(), *self.form.items()])

    def get_data(self, *, as_text: bool = False, cache: bool = True) -> bytes | str:
        """The body."""
        del cache
        return self.data.decode() if as_text else self.data

    def get_json(self, *, force: bool = False, silent: bool = False, cache: bool = True) -> object:
        """The body as JSON.

        Raises:
            ValueError: It is not JSON, or its content type says something else, unless `force` or `silent`.
        """
        del cache
        if not (force or self.is_json):
            if silent:
                return None
            raise ValueError("the request's Content-Type is not application/json")
        try:
            return json.loads(self.data)
        except ValueError:
            if silent:
                return None
            raise

    @property
    def json(self) -> object:
        """The body as JSON; see `get_json`."""
        return self.get_json()


class AMLResponse:
    """A response that a script makes itself; signature and meaning of Azure ML's.

    Args:
        message: The body; None is an empty JSON object.
        status_code: The status.
        response_headers: Headers; a value with commas becomes several headers.
        json_str: Write `message` as JSON.
        run_function_failed: What `x-ms-run-function-failed` says.
    """

    def __init__(
        self,
        message: object,
        status_code: int,
        response_headers: Mapping[str, str] | None = None,
        json_str: bool = False,  # noqa: FBT001, FBT002 - Azure ML's own signature
        run_function_failed: bool = False,  # noqa: FBT001, FBT002 - as above
    ) -> None:
        """Make a response."""
        self.status_code = status_code
        self.headers = Headers()
        if message is None or json_str:
            self._data = json.dumps({} if message is None else message).encode()
            self.headers.add("Content-Type", "application/json")
        else:
            self._data = _bytes(message)
            self.headers.add("Content-Type", "text/html; charset=utf-8")
        self.headers.add("x-ms-run-function-failed", run_function_failed)
        for name, value in (response_headers or {}).items():
            if name.lower() == "content-type" and message is not None and not json_str:
                self.headers.remove(name)
            for part in str(value).split(","):
                self.headers.add(name, part.strip())

    @property
    def data(self) -> bytes:
        """The body."""
        return self._data

    @data.setter
    def data(self, value: object) -> None:
        self._data = _bytes(value)

    def get_data(self, *, as_text: bool = False) -> bytes | str:
        """The body."""
        return self._data.decode() if as_text else self._data

    def set_data(self, value: object) -> None:
        """Replace the body."""
        self._data = _bytes(value)


def _bytes(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, Iterable):
        return b"".join(_bytes(part) for part in value)
    raise TypeError(f"the body of an AMLResponse is text or bytes, not {type(value).__name__}")


class RawHttp:
    """Whether the script asked for raw HTTP. One process has one script, and Azure ML's mark is process-wide too."""

    requested = False


def rawhttp(function: Run) -> Run:
    """Mark `run()` as one that takes an `AMLRequest` and may return an `AMLResponse`."""
    RawHttp.requested = True
    return function

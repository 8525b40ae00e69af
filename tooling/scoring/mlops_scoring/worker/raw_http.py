"""`AMLRequest` and `rawhttp`, for entry scripts that read HTTP themselves.

Azure ML's own class is Flask's. This one has what scripts use of it, and needs no Flask.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from io import BytesIO
from typing import TypeVar

from mlops_scoring.worker.multi_values import Headers, MultiDict, joined
from mlops_scoring.worker.multipart import FileStorage, parse_multipart
from mlops_scoring.worker.negotiation import Accept, Authorization, content_type_parameters, parse_cookies
from mlops_scoring.worker.queries import form_pairs, query_pairs
from mlops_scoring.worker.scoring import ScoringRequest

Run = TypeVar("Run", bound=Callable[..., object])

_FORM = "application/x-www-form-urlencoded"


class AMLRequest:
    """A request, with the attributes of Flask's that scripts use."""

    script_root = root_path = ""
    scheme = "http"
    """Of the connection to the worker; clients may have come by https."""
    is_secure = False
    remote_addr = "127.0.0.1"
    """The gateway, which is on the same machine."""
    remote_user = None

    def __init__(self, request: ScoringRequest) -> None:
        """Spell a request as Flask does."""
        self.method = request.method
        self.path = request.path
        self.query_string = request.query
        self.headers = Headers(joined(request.headers))
        self.data = request.body
        self.content_type: str | None = self.headers.get("content-type")
        sized = bool(request.body) or "content-length" in self.headers
        self.content_length = len(request.body) if sized else None
        self.mimetype = (self.content_type or "").partition(";")[0].strip().lower()
        self.mimetype_params = content_type_parameters(self.content_type or "")
        self.is_json = self.mimetype == "application/json" or (
            self.mimetype.startswith("application/") and self.mimetype.endswith("+json")
        )
        self.stream = self.input_stream = BytesIO(request.body)
        self.host: str = self.headers.get("host", "localhost")
        self.host_url = self.url_root = f"http://{self.host}/"
        self.base_url = f"http://{self.host}{self.path}"

    @property
    def full_path(self) -> str:
        """Path and query; ends with `?` when there is no query, as Flask has it."""
        return f"{self.path}?{self.query_string.decode('latin-1')}"

    @property
    def url(self) -> str:
        """The address that the client asked for, as far as it is known here."""
        return self.base_url + (f"?{self.query_string.decode('latin-1')}" if self.query_string else "")

    @property
    def user_agent(self) -> str:
        """What the client says it is."""
        return str(self.headers.get("user-agent", ""))

    @cached_property
    def args(self) -> MultiDict[str]:
        """Parameters of the query."""
        return MultiDict(query_pairs(self.query_string))

    @cached_property
    def cookies(self) -> MultiDict[str]:
        """Cookies."""
        return MultiDict(parse_cookies(self.headers.get("cookie", "")))

    @cached_property
    def authorization(self) -> Authorization | None:
        """What `Authorization` says; None where it is absent or says nothing that can be read."""
        return Authorization.parse(self.headers.get("authorization", ""))

    @cached_property
    def accept_mimetypes(self) -> Accept:
        """What the client wants to be answered."""
        return Accept(self.headers.get("accept", ""))

    @cached_property
    def _multipart(self) -> tuple[list[tuple[str, str]], list[tuple[str, FileStorage]]]:
        if self.mimetype != "multipart/form-data":
            return [], []
        try:
            return parse_multipart(self.data, self.mimetype_params.get("boundary", ""))
        except ValueError:
            return [], []  # a form that cannot be read is empty, as with Flask

    @cached_property
    def form(self) -> MultiDict[str]:
        """Fields of a form."""
        return MultiDict(form_pairs(self.data) if self.mimetype == _FORM else self._multipart[0])

    @cached_property
    def files(self) -> MultiDict[FileStorage]:
        """Files of a form."""
        return MultiDict(self._multipart[1])

    @property
    def values(self) -> MultiDict[str]:
        """Parameters of the query and fields of the form."""
        return MultiDict([*self.args.items(multi=True), *self.form.items(multi=True)])

    def get_data(
        self,
        cache: bool = True,  # noqa: FBT001, FBT002 - Flask's own signature
        as_text: bool = False,  # noqa: FBT001, FBT002 - as above
        parse_form_data: bool = False,  # noqa: FBT001, FBT002 - as above
    ) -> bytes | str:
        """The body."""
        del cache, parse_form_data
        return self.data.decode("utf-8", "replace") if as_text else self.data

    def get_json(
        self,
        force: bool = False,  # noqa: FBT001, FBT002 - Flask's own signature
        silent: bool = False,  # noqa: FBT001, FBT002 - as above
        cache: bool = True,  # noqa: FBT001, FBT002 - as above
    ) -> object:
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


class RawHttp:
    """Whether the script asked for raw HTTP. One process has one script, and Azure ML's mark is process-wide too."""

    requested = False


def rawhttp(function: Run) -> Run:
    """Mark `run()` as one that takes an `AMLRequest` and may return an `AMLResponse`."""
    RawHttp.requested = True
    return function

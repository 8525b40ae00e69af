"""Events as lines: CloudEvents 1.0 in their JSON form, with the extension attributes of Azure ML's data collector.

Sources: CloudEvents specification 1.0.2 (attribute names, types) and its JSON event format; Azure ML's files have
`correlationid`, `xrequestid`, `modelversion`, `collectdatatype` and `agent`.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

TYPE_PREFIX = "azureml.inference."
"""What the types of events begin with; the collection's name follows."""

RECORDS = "records"
"""Value of `collectdatatype` for rows that were captured without code."""

# Strings of CloudEvents have no control characters, surrogates or noncharacters (specification, "Type System").
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_BREAKS = re.compile(r"[\r\n]")
_MOST_CONSTANTS = 100
_quoted = json.encoder.encode_basestring_ascii
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class Unreadable(Exception):
    """Something that cannot be kept as rows."""


@dataclass(frozen=True, slots=True)
class Written:
    """A JSON value that is text already: valid, and of one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        collection: The collection's declared name.
        data: Any JSON value; rows are a list of objects.
        seconds: When it happened, in seconds since the epoch.
        attributes: Extension attributes; their names have small letters and digits only. Empty ones are left out.
        content_type: Of the data.
        binary: Whether the data is bytes, in base64.
    """

    collection: str
    data: object
    seconds: float
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    content_type: str = "application/json"
    binary: bool = False


class Envelope:
    """Makes lines of the events of one source.

    Args:
        source: Parts of the path that names where events come from: endpoint and deployment.
        attributes: Extension attributes that all events have, beside their own.
    """

    def __init__(self, source: tuple[str, ...], attributes: Mapping[str, str | int] | None = None) -> None:
        """Draw the beginning of the ids, which no other process has."""
        self._source = "/" + "/".join(quote(part, safe="", errors="replace") for part in source)
        self._attributes = _written_attributes(attributes or {})
        self._token = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._constant: dict[tuple[str, str], str] = {}

    def line(self, event: Event) -> bytes:
        """One line, with its end.

        Raises:
            Unreadable: The data cannot be written as JSON.
        """
        try:
            data = event.data.text if isinstance(event.data, Written) else to_json(event.data)
        except (TypeError, ValueError, RecursionError) as error:
            raise Unreadable(str(error)) from None
        constant = self._constant.get((event.collection, event.content_type)) or self._begin(event)
        return (
            f'{{"id":"{self._token}-{next(self._numbers)}",{constant},"time":"{written_time(event.seconds)}"'
            f'{_written_attributes(event.attributes)},"data{"_base64" if event.binary else ""}":{data}}}\n'
        ).encode()

    def _begin(self, event: Event) -> str:
        constant = (
            f'"specversion":"1.0","source":{_quoted(self._source)},'
            f'"type":{_quoted(TYPE_PREFIX + event.collection)},'
            f'"datacontenttype":{_quoted(fit_text(event.content_type))}{self._attributes}'
        )
        if len(self._constant) < _MOST_CONSTANTS:  # content types are clients' words
            self._constant[event.collection, event.content_type] = constant
        return constant


def _written_attributes(attributes: Mapping[str, str | int]) -> str:
    return "".join(
        f',"{name}":{_quoted(fit_text(value)) if isinstance(value, str) else int(value)}'
        for name, value in attributes.items()
        if value != ""
    )


def parse_payload(text: str) -> Written:
    """JSON text as it can be written into a line; nothing of it is changed but line breaks between its tokens.

    Raises:
        ValueError: It is not JSON, or has NaN or infinities.
        RecursionError: It is nested too deeply.
    """
    _strict(text)
    return Written(_BREAKS.sub(" ", text) if "\n" in text or "\r" in text else text)


def _refuse(constant: str) -> object:
    message = f"{constant} is not JSON"
    raise ValueError(message)


# Numbers are checked and not made: `len` is the cheapest that takes their text, and most of a body is numbers.
_strict = json.JSONDecoder(parse_constant=_refuse, parse_float=len, parse_int=len).decode


def to_json(value: object) -> str:
    """JSON text in ASCII; NaN and infinities, which JSON does not have, become null.

    Raises:
        TypeError: Something in it is not JSON.
        RecursionError: It is nested too deeply.
    """
    try:
        return _encode(value)
    except ValueError:
        return _encode(_finite(value))


def _finite(value: object) -> object:
    match value:
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list():
            return [_finite(item) for item in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value


def fit_text(text: str) -> str:
    """Text as an attribute may have it: what CloudEvents forbids becomes U+FFFD."""
    return text if text.isprintable() and text.isascii() else _UNFIT.sub("\ufffd", text)


@lru_cache(maxsize=4)
def _second(whole: int) -> str:
    return datetime.fromtimestamp(whole, UTC).isoformat(timespec="seconds").partition("+")[0]


def written_time(seconds: float) -> str:
    """A moment as RFC 3339 has it, in UTC with microseconds; now, where it is not one of the years 1 to 9999."""
    try:
        whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
        return f"{_second(whole)}.{micros:06d}Z"
    except (ValueError, OverflowError, OSError):
        return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

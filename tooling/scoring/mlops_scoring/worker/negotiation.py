"""Request headers with a grammar of their own, as far as entry scripts read them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.cookies import _unquote


def content_type_parameters(content_type: str) -> dict[str, str]:
    """The parameters of a content type: `charset`, `boundary` (RFC 9110, 8.3)."""
    described = Message()
    described["content-type"] = content_type.replace("\r", "").replace("\n", "")
    return {name.lower(): value for name, value in (described.get_params() or [])[1:] if name}


def parse_cookies(header: str) -> Iterator[tuple[str, str]]:
    """Names and values of a `Cookie` header (RFC 6265, 4.2)."""
    for part in header.encode("latin-1", "replace").decode("utf-8", "replace").split(";"):
        name, _, value = part.partition("=")
        if name.strip():
            yield name.strip(), _unquote(value.strip())


@dataclass(frozen=True, slots=True)
class Authorization:
    """The `Authorization` header (RFC 9110, 11.6.2).

    Attributes:
        type: The scheme in lower case.
        parameters: User name and password of `Basic`.
        token: What stands behind any other scheme.
    """

    type: str
    parameters: dict[str, str] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def username(self) -> str | None:
        """The user's name."""
        return self.parameters.get("username")

    @property
    def password(self) -> str | None:
        """The user's password."""
        return self.parameters.get("password")

    @classmethod
    def parse(cls, header: str) -> Authorization | None:
        """Read a header; None where it is none."""
        kind, _, rest = header.partition(" ")
        if not kind or not rest:
            return None
        if kind.lower() != "basic":
            return cls(kind.lower(), token=rest.strip())
        try:
            user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        return cls("basic", {"username": user, "password": password})


class Accept:
    """The `Accept` header (RFC 9110, 12.5.1), best first."""

    def __init__(self, header: str) -> None:
        """Read a header; empty accepts nothing in particular."""
        found: list[tuple[str, float]] = []
        for part in header.split(","):
            kind, *parameters = (piece.strip() for piece in part.split(";"))
            if kind:
                weights = [text[2:] for text in parameters if text.lower().startswith("q=")]
                found.append((kind.lower(), _weight(weights[0]) if weights else 1.0))
        self._kinds = sorted(found, key=lambda pair: -pair[1])

    @property
    def best(self) -> str | None:
        """What the client likes best."""
        return self._kinds[0][0] if self._kinds else None

    def quality(self, kind: str) -> float:
        """How much the client likes a media type: from 0, not at all, to 1."""
        return next((weight for wanted, weight in self._kinds if _matches(kind.lower(), wanted)), 0.0)

    def best_match(self, kinds: Iterable[str], default: str | None = None) -> str | None:
        """The one of several media types that the client likes best."""
        best = max(kinds, key=self.quality, default=None)
        return best if best is not None and self.quality(best) > 0 else default

    def __contains__(self, kind: object) -> bool:
        """Whether the client takes a media type."""
        return isinstance(kind, str) and self.quality(kind) > 0

    def __iter__(self) -> Iterator[tuple[str, float]]:
        """Media types with their weights, best first."""
        return iter(self._kinds)


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _matches(kind: str, wanted: str) -> bool:
    return wanted in {"*/*", "*", kind} or (wanted.endswith("/*") and kind.startswith(wanted[:-1]))

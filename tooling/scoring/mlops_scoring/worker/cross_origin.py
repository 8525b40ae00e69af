r"""Cross-origin headers (https://fetch.spec.whatwg.org/#http-cors-protocol) for AML_CORS_ORIGINS.

What is answered is what Flask-CORS 6 answers for `methods=["GET", "POST"]` and a list of origins, which is how
azureml-inference-server-http 1.5.1 calls it; but a pattern has to match the whole of an origin, so that
`https://.*\.shop\.test` does not let `https://a.shop.test.evil.test` in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mlops_scoring.wire.messages import Headers, Request

_METHODS = b"GET, POST"
_PATTERN_SIGNS = frozenset("*\\]?$^[]()")


class CrossOrigin:
    """Which pages may read the answers.

    Args:
        origins: Origins; `*` is any, and one with signs of regular expressions is a pattern.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        """Read the list.

        Raises:
            re.error: A pattern is none.
        """
        listed = tuple(origins)
        self._any = "*" in listed
        self._literal = frozenset(origin.lower() for origin in listed if not _is_pattern(origin))
        self._patterns = [
            re.compile(origin, re.IGNORECASE) for origin in listed if _is_pattern(origin) and origin != "*"
        ]
        self._first = min((origin for origin in listed if not _is_pattern(origin)), default="")
        self._varies = len(listed) > 1 or self._any or bool(self._patterns)

    def headers(self, request: Request) -> Headers:
        """The headers to add to the answer."""
        asked = {name: value for name, value in request.headers if name.startswith((b"origin", b"access-control-"))}
        origin = asked.get(b"origin", b"").decode("latin-1")
        if origin and not self._allows(origin):
            return []
        allowed = origin or ("*" if self._any else self._first)
        if not allowed:
            return []
        added: Headers = [(b"access-control-allow-origin", allowed.encode("latin-1"))]
        if asked.get(b"access-control-request-private-network") == b"true":
            added.append((b"access-control-allow-private-network", b"false"))
        if request.method == b"OPTIONS" and asked.get(b"access-control-request-method", b"").upper() in {
            b"GET",
            b"POST",
        }:
            wanted = asked.get(b"access-control-request-headers")
            if wanted:
                names = sorted(name.strip() for name in wanted.split(b","))
                added.append((b"access-control-allow-headers", b", ".join(names)))
            added.append((b"access-control-allow-methods", _METHODS))
        if allowed != "*" and self._varies:
            added.append((b"vary", b"Origin"))
        return added

    def _allows(self, origin: str) -> bool:
        return (
            self._any or origin.lower() in self._literal or any(pattern.fullmatch(origin) for pattern in self._patterns)
        )


def _is_pattern(origin: str) -> bool:
    return not _PATTERN_SIGNS.isdisjoint(origin)

"""Who may use an endpoint: everybody, whoever has one of two keys, or whoever has a token.

Keys and tokens come as `Authorization: Bearer ...`, as clients of Azure ML send them. The header is for the gateway
alone: where it is asked for, it is passed on to no worker.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from mlops_scoring.gateway.tokens import SigningKey, find_fault
from mlops_scoring.wire.messages import Refusal, Request, identifying_headers

_AUTHORIZATION = b"authorization"
_HIDDEN = frozenset({_AUTHORIZATION})
_SCHEME = b"bearer "


class Guard(Protocol):
    """Decides by the head of a request whether it may pass."""

    def refuse(self, request: Request) -> Refusal | None:
        """What the client is told instead; None lets the request pass."""


class _Open:
    """Lets everybody pass."""

    def refuse(self, request: Request) -> Refusal | None:
        """Nothing is asked for; the header, if any, is the model's."""
        del request
        return None


OPEN: Guard = _Open()


class KeyGuard:
    """Lets pass who has one of the endpoint's keys.

    Args:
        keys: The keys; each is always compared, in a time that says nothing about them.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        """Keep digests only, all of one length."""
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def refuse(self, request: Request) -> Refusal | None:
        """Compare what the client presents with every key."""
        presented = _credential(request)
        if presented is None:
            return _unauthorized(request, "a key")
        digest = hashlib.sha256(presented).digest()
        known = False
        for expected in self._digests:
            known |= hmac.compare_digest(digest, expected)
        return None if known else _unauthorized(request, "a key", "the key is not one of this endpoint's")


class TokenGuard:
    """Lets pass who has a token that one of the keys has signed.

    Args:
        keys: Keys whose tokens are believed.
        endpoint: The endpoint's name.
        clock: Seconds since the epoch.
        previous: A key that is about to leave: its tokens are believed too, whatever they say themselves, until then.
        previous_until: When that is, in seconds since the epoch.
    """

    def __init__(
        self,
        keys: Sequence[SigningKey],
        endpoint: str,
        clock: Callable[[], float] = time.time,
        *,
        previous: SigningKey | None = None,
        previous_until: float = 0,
    ) -> None:
        """Know the keys."""
        self._keys = tuple(keys)
        self._keys_until = self._keys if previous is None else (*self._keys, previous)
        self._previous_until = previous_until
        self._endpoint = endpoint
        self._clock = clock

    def refuse(self, request: Request) -> Refusal | None:
        """Check the token's signature, endpoint and times."""
        presented = _credential(request)
        if presented is None:
            return _unauthorized(request, "a token")
        now = self._clock()
        keys = self._keys_until if now < self._previous_until else self._keys
        fault = find_fault(presented, keys, self._endpoint, now)
        return None if fault is None else _unauthorized(request, "a token", fault)


def _credential(request: Request) -> bytes | None:
    """What comes after `Bearer`, and hide the header from workers; None where there is none."""
    request.options = _HIDDEN if request.options is None else request.options | _HIDDEN
    value = request.header(_AUTHORIZATION)
    if value is None or value[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return value[len(_SCHEME) :].strip()


def _unauthorized(request: Request, needed: str, fault: str | None = None) -> Refusal:
    challenge = b'Bearer realm="endpoint"' + (b', error="invalid_token"' if fault else b"")
    reason = f"{fault}." if fault else f"This endpoint needs {needed}."
    text = f"{reason[0].upper()}{reason[1:]} Send it as 'Authorization: Bearer ...'."
    return Refusal(401, text, ((b"www-authenticate", challenge), *identifying_headers(request)))

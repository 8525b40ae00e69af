"""Short-lived tokens: what they say, how they are signed, when they are believed.

A token is `mlt1.<claims>.<signature>`: claims are the base64url of a small JSON object, the signature is HMAC-SHA256
over everything before it. There is one algorithm and no field that names another, so none can be talked into use.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass

_PREFIX = b"mlt1"
_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

MAX_TOKEN = 512
"""Longest token that is looked at, in bytes."""

SKEW_SECONDS = 30
"""How far the clock of a machine that issued a token may be ahead; an expired token gets no such grace."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret that tokens are signed with.

    Attributes:
        identity: Its name, which tokens carry.
        secret: At least 32 random bytes.
    """

    identity: str
    secret: bytes


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its life; times in seconds since the epoch.

    Attributes:
        refresh_after: When a client should ask for the next one.
    """

    text: str
    expires_at: int
    refresh_after: int


def issue(key: SigningKey, endpoint: str, now: float, seconds: int) -> Token:
    """Make a token for one endpoint.

    Args:
        key: Signs it.
        endpoint: The only endpoint that it opens.
        now: Seconds since the epoch.
        seconds: Its life.
    """
    begins = int(now)
    claims = {"kid": key.identity, "aud": endpoint, "iat": begins, "exp": begins + seconds}
    signed = _PREFIX + b"." + _encode(json.dumps(claims, separators=(",", ":")).encode())
    text = signed + b"." + _encode(_sign(key, signed))
    return Token(text.decode(), begins + seconds, begins + seconds * 4 // 5)


def find_fault(text: bytes, keys: Sequence[SigningKey], endpoint: str, now: float) -> str | None:
    """Why a token is not to be believed; None when it is.

    Args:
        text: What the client sent.
        keys: Those whose tokens are believed.
        endpoint: The endpoint that the client wants to use.
        now: Seconds since the epoch.
    """
    if len(text) > MAX_TOKEN:
        return "the token is too long"
    signed, _, signature = text.rpartition(b".")
    prefix, _, encoded = signed.partition(b".")
    given = _decode(signature)
    if prefix != _PREFIX or given is None or b"." in encoded:
        return "this is not a token of this endpoint"
    # Every key is tried, so that the time says nothing about which one signed, nor whether any did.
    signers = [key.identity for key in keys if hmac.compare_digest(_sign(key, signed), given)]
    claims = _read(encoded) if signers else None
    if claims is None or claims.get("kid") not in signers:
        return "the token's signature is wrong"
    begins, ends = claims.get("iat"), claims.get("exp")
    if claims.get("aud") != endpoint or type(begins) is not int or type(ends) is not int:
        return "the token is for another endpoint"
    if now >= ends:
        return "the token has expired"
    return "the token is from the future" if begins > now + SKEW_SECONDS else None


def _read(encoded: bytes) -> dict[str, object] | None:
    decoded = _decode(encoded)
    try:
        claims = json.loads(decoded or b"")
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def _sign(key: SigningKey, data: bytes) -> bytes:
    return hmac.digest(key.secret, data, "sha256")


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(text: bytes) -> bytes | None:
    """Read base64url without padding; only the one spelling that `_encode` gives."""
    if not _ALPHABET.issuperset(text):
        return None
    try:
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return None
    return data if _encode(data) == text else None

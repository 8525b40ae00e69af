"""The endpoint's secrets: two keys for clients, and the keys that tokens are signed with.

They lie in `credentials.json`, which only the owner can read, and nowhere else: not in the configuration, not in the
environment of a worker, not in a log.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, assert_never

from mlops_scoring.documents import Fields, InvalidDocument, parse_json
from mlops_scoring.endpoint_settings import AuthMode
from mlops_scoring.gateway.authentication import OPEN, Guard, KeyGuard, TokenGuard
from mlops_scoring.gateway.tokens import SKEW_SECONDS, SigningKey, Token, issue
from mlops_scoring.supervisor.directory import Directory

FORMAT = 1
"""Version of the file."""

_SECRET_BYTES = 32
_AHEAD = 10
"""The end of tokens is kept on disk for a tenth of their life ahead, so that few of them need a write."""

_log = logging.getLogger("mlops_scoring.supervisor")

KeyType = Literal["primary", "secondary", "signing"]
"""What can be made anew: one of the two keys, or the key that tokens are signed with."""


class TooSoon(Exception):
    """The signing key was made anew a short time ago, and tokens of the one before it still live."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets of one endpoint.

    Attributes:
        primary: The first key.
        secondary: The second key, so that either can be made anew while clients use the other.
        signing: Signs new tokens.
        previous: Signed the tokens before; believed until `previous_until`, and no longer, in seconds since the epoch.
        tokens_until: No token that was issued ends later.
    """

    primary: str
    secondary: str
    signing: SigningKey
    previous: SigningKey | None = None
    previous_until: int = 0
    tokens_until: int = 0

    def document(self) -> dict[str, object]:
        """The file's content."""
        return {
            "format": FORMAT,
            "primary_key": self.primary,
            "secondary_key": self.secondary,
            "signing_key": _key_document(self.signing),
            "previous_signing_key": None if self.previous is None else _key_document(self.previous),
            "previous_until": self.previous_until,
            "tokens_until": self.tokens_until,
        }


def make_credentials() -> Credentials:
    """New secrets from the system's source of randomness."""
    return Credentials(_make_key(), _make_key(), _make_signing_key())


def _make_key() -> str:
    return secrets.token_urlsafe(_SECRET_BYTES)


def _make_signing_key() -> SigningKey:
    return SigningKey(secrets.token_hex(4), secrets.token_bytes(_SECRET_BYTES))


def _key_document(key: SigningKey) -> dict[str, str]:
    return {"id": key.identity, "secret": key.secret.hex()}


def parse_credentials(data: bytes) -> Credentials:
    """Read the file; problems name fields, never values.

    Raises:
        InvalidDocument: It is not what `Credentials.document` writes.
    """
    problems: list[str] = []
    fields = Fields(parse_json(data, "credentials"), "credentials", problems)
    if fields.get("format") != FORMAT:
        fields.problem("format", f"must be {FORMAT}")
    previous = fields.get("previous_signing_key", None)
    credentials = Credentials(
        primary=fields.text("primary_key"),
        secondary=fields.text("secondary_key"),
        signing=_signing_key(fields.below("signing_key")),
        previous=None if previous is None else _signing_key(fields.below("previous_signing_key")),
        previous_until=fields.whole("previous_until", 0, most=2**53),
        tokens_until=fields.whole("tokens_until", 0, most=2**53),
    )
    fields.finish()
    if problems:
        raise InvalidDocument(problems)
    return credentials


def _signing_key(fields: Fields) -> SigningKey:
    identity, secret = fields.text("id"), b""
    try:
        secret = bytes.fromhex(fields.text("secret"))
    except ValueError:
        fields.problem("secret", "must be hexadecimal")
    if len(secret) < _SECRET_BYTES:
        fields.problem("secret", f"must have {_SECRET_BYTES} bytes")
    fields.finish()
    return SigningKey(identity, secret)


class CredentialStore:
    """Keeps the secrets on disk and makes them anew.

    Args:
        directory: Has the file.
        clock: Seconds since the epoch.
    """

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        """Read the file, or make it.

        Raises:
            InvalidDocument: The file is there and cannot be used; it is left as it is.
            OSError: It cannot be read or written.
        """
        self._directory = directory
        self._clock = clock
        self._path: Path = directory.root / "credentials.json"
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            self.credentials = make_credentials()
            directory.write(self._path, self.credentials.document())
        else:
            self.credentials = parse_credentials(data)
            self._path.chmod(0o600)
        self._last_end = self.credentials.tokens_until  # `token_seconds` may have been longer when they were issued

    def guard(self, mode: AuthMode, endpoint: str) -> Guard:
        """What stands before the endpoint now."""
        match mode:
            case "none":
                return OPEN
            case "key":
                return KeyGuard([self.credentials.primary, self.credentials.secondary])
            case "aml_token":
                found = self.credentials
                return TokenGuard(
                    [found.signing],
                    endpoint,
                    self._clock,
                    previous=found.previous,
                    previous_until=found.previous_until,
                )
            case _ as never:
                assert_never(never)

    def regenerate(self, key_type: KeyType, token_seconds: int, *, revoke: bool = False) -> None:
        """Make one secret anew, on disk first; may be called in a thread, one call of this and `issue` at a time.

        Args:
            key_type: Which one.
            token_seconds: How long tokens live. Those of the signing key that is replaced are believed until then.
            revoke: Believe no token any more that was issued so far.

        Raises:
            TooSoon: The signing key before this one still has tokens that live, and they are not to be revoked.
            OSError: The disk refuses it; the secrets are the old ones.
        """
        changed = self._changed(key_type, token_seconds, revoke=revoke)
        self._directory.write(self._path, changed.document())
        self.credentials = changed

    def _changed(self, key_type: KeyType, token_seconds: int, *, revoke: bool) -> Credentials:
        found, now = self.credentials, self._clock()
        match key_type:
            case "primary":
                return replace(found, primary=_make_key())
            case "secondary":
                return replace(found, secondary=_make_key())
            case "signing":
                if revoke:
                    return replace(found, signing=_make_signing_key(), previous=None, previous_until=0)
                if found.previous is not None and now < found.previous_until:
                    raise TooSoon(f"tokens of the signing key before this one live until {found.previous_until}")
                until = max(int(now) + token_seconds, self._last_end) + SKEW_SECONDS
                return replace(found, signing=_make_signing_key(), previous=found.signing, previous_until=until)
            case _ as never:
                assert_never(never)

    def issue(self, endpoint: str, seconds: int) -> Token:
        """A token for the endpoint; may be called in a thread, one call of this and `regenerate` at a time.

        On disk is how long tokens live before one is given away, so that a rotation after a restart refuses none. Where
        the disk does not take that, there is a token nevertheless.
        """
        token = issue(self.credentials.signing, endpoint, self._clock(), seconds)
        self._last_end = max(self._last_end, token.expires_at)
        if token.expires_at > self.credentials.tokens_until:
            changed = replace(self.credentials, tokens_until=token.expires_at + seconds // _AHEAD)
            try:
                self._directory.write(self._path, changed.document())
            except OSError as error:
                _log.warning("after a restart nobody will know how long tokens live: %s", error.strerror)
            else:
                self.credentials = changed
        return token


def read_order(body: bytes) -> tuple[KeyType, bool]:
    """Read the body of a call to make a secret anew.

    Raises:
        InvalidDocument: It is not `{"key_type": "primary" | "secondary" | "signing"}`, with `revoke` or without.
    """
    problems: list[str] = []
    fields = Fields(parse_json(body, "request"), "", problems)
    named = fields.text("key_type", choices=("primary", "secondary", "signing"))
    revoke = fields.get("revoke", False)
    if not isinstance(revoke, bool):
        fields.problem("revoke", "must be true or false")
    fields.finish()
    if problems:
        raise InvalidDocument(problems)
    match named:
        case "primary":
            return "primary", False
        case "secondary":
            return "secondary", False
        case _:
            return "signing", revoke is True

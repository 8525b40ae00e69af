"""Asking a supervisor for what opens its endpoint, and for what a deployment says of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from mlops.driver import Answer, Keys, KeyType, Token
from mlops.drivers.local import admin
from mlops.drivers.local.home import Home
from mlops.errors import Diagnostic, TargetError
from mlops.resource import JSON, Address, canonical

_PATIENCE = 30.0
"""Seconds; a key is on the disk before the answer comes."""

_TOO_SOON = 409
_EPOCH = re.compile(r"\b\d{9,11}\b")
"""A point in time as the supervisor writes it."""


def keys(home: Home, address: Address) -> Keys:
    """Both keys.

    Raises:
        TargetError: Nothing answered.
    """
    said = _ask(home, address, "GET", "/credentials")
    return Keys(_text(said, "primary_key", address), _text(said, "secondary_key", address))


def regenerate(home: Home, address: Address, key: KeyType, *, revoke: bool) -> None:
    """Make one secret anew.

    Raises:
        TargetError: Nothing answered, it cannot be kept, or it was made anew too short a time ago.
    """
    body: dict[str, JSON] = {"key_type": key.value}
    _ask(home, address, "POST", "/credentials/regenerate", {**body, "revoke": True} if revoke else body)


def token(home: Home, address: Address) -> Token:
    """A new token.

    Raises:
        TargetError: Nothing answered.
    """
    said = _ask(home, address, "POST", "/token")
    return Token(_text(said, "token", address), _seconds(said, "expires_at"), _seconds(said, "refresh_after"))


def describe(home: Home, address: Address, deployment: str, version: str) -> Answer:
    """The OpenAPI document of a live deployment.

    Raises:
        TargetError: Nothing answered.
    """
    path = f"/openapi/{quote(deployment, safe='')}?version={quote(version, safe='')}"
    try:
        return Answer(*admin.exchange_fully(home, "GET", path, b"", _PATIENCE))
    except OSError as error:
        raise _silent(address, str(error)) from error


def _ask(
    home: Home, address: Address, method: str, path: str, body: Mapping[str, JSON] | None = None
) -> Mapping[str, JSON]:
    try:
        status, content = admin.exchange(home, method, path, canonical(body) if body else b"", _PATIENCE)
    except OSError as error:
        raise _silent(address, str(error)) from error
    try:
        said = json.loads(content)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise _silent(address, f"status {status} without JSON")
    if status == _TOO_SOON:
        raise _too_soon(address, str(said.get("message")))
    if status != 200:
        detail = f"The supervisor of {address} answered {status}: {said.get('message', 'no reason given')}"
        raise TargetError(
            Diagnostic("Supervisor refused", detail, todo="See its log:", command=f"mlops logs {_name(address)}")
        )
    return said


def _too_soon(address: Address, message: str) -> TargetError:
    """Two keys are believed at once, and a third would end tokens of the first before their time."""
    found = _EPOCH.search(message)
    until = f" until {datetime.fromtimestamp(int(found[0]), UTC):%Y-%m-%d %H:%M:%SZ}" if found else ""
    return TargetError(
        Diagnostic(
            "Not yet to be made anew",
            f"Tokens of the signing key before this one of {address} live{until}.",
            todo="Wait until then; or refuse all tokens that were issued so far:",
            command=f"mlops credentials {_name(address)} --regenerate signing --revoke",
        )
    )


def _silent(address: Address, why: str) -> TargetError:
    return TargetError(
        Diagnostic(
            "Nothing answered",
            f"The supervisor of {address} does not answer: {why}.",
            todo="See how it is; if it is gone, apply its stage.",
            command="mlops status",
        )
    )


def _name(address: Address) -> str:
    return address.name.partition("@")[0]


def _text(said: Mapping[str, JSON], name: str, address: Address) -> str:
    value = said.get(name)
    if not isinstance(value, str):
        raise _silent(address, f"its answer has no {name}")  # never the answer itself: it may hold the others
    return value


def _seconds(said: Mapping[str, JSON], name: str) -> float:
    value = said.get(name)
    return value if isinstance(value, int | float) else 0.0

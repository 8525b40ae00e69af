"""What opens an endpoint."""

from __future__ import annotations

from mlops.driver import Keys, KeyType, Token
from mlops.reports.document import document
from mlops.reports.values import iso
from mlops.resource import JSON, Address


def render_credentials(keys: Keys | None, token: Token | None, only: KeyType | None) -> str:
    """A token, one key, or both keys with their names; nothing around what a script reads."""
    if keys is None:
        return f"{token.text}\n" if token is not None else ""
    if only is None:
        return f"primary    {keys.primary}\nsecondary  {keys.secondary}\n"
    return f"{keys.primary if only is KeyType.PRIMARY else keys.secondary}\n"


def render_credentials_json(address: Address, mode: str, keys: Keys | None, token: Token | None) -> str:
    """Keys, or a token with its times."""
    body: dict[str, JSON] = {"address": str(address), "auth_mode": mode}
    if keys is not None:
        body |= {"primary_key": keys.primary, "secondary_key": keys.secondary}
    if token is not None:
        body |= {
            "token": token.text,
            "expires_at": iso(token.expires_at),
            "refresh_after": iso(token.refresh_after),
        }
    return document("credentials", body)

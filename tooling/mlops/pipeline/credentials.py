"""`mlops credentials`: what opens an endpoint. It is asked for when it is wanted, shown once, and kept nowhere."""

from __future__ import annotations

from dataclasses import dataclass

from mlops.driver import Guarding, Keys, KeyType, Token
from mlops.errors import Blocked, Diagnostic, MlopsError
from mlops.pipeline.applying import origin_of
from mlops.pipeline.planning import open_scopes
from mlops.pipeline.reaching import live_endpoint, not_reachable
from mlops.pipeline.workspace import Workspace
from mlops.resource import JSON, Address, Event

_TOKEN = "aml_token"  # noqa: S105 - the name of a mode
_OPEN = "none"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What opens an endpoint now.

    Attributes:
        address: The endpoint.
        mode: Its `auth_mode`.
        keys: Both keys, where the mode is `key`.
        token: A new token, where the mode is `aml_token`.
    """

    address: Address
    mode: str
    keys: Keys | None = None
    token: Token | None = None


def credentials(workspace: Workspace, stage: str, address: Address) -> Credentials:
    """What opens an endpoint: its keys, or a new token.

    Raises:
        NotFound: It is not live.
        Blocked: It asks for none, or its compute does not tell.
        TargetError: Nothing answered.
    """
    guard, mode = _guard(workspace, stage, address)
    if mode == _TOKEN:
        return Credentials(address, mode, token=guard.token(address))
    return Credentials(address, mode, keys=guard.keys(address))


def regenerate(
    workspace: Workspace, stage: str, address: Address, key: KeyType, *, revoke: bool = False, reason: str = ""
) -> Credentials:
    """Make one of an endpoint's secrets anew and record that in the ledger; an old key opens nothing any more.

    Args:
        workspace: The opened repository.
        stage: The stage.
        address: Which endpoint.
        key: Which secret.
        revoke: Of the signing key: believe no token any more that was issued so far.
        reason: Why, for the ledger.

    Returns:
        What opens the endpoint now.

    Raises:
        NotFound: It is not live.
        Blocked: It asks for none or for another kind, or its compute does not tell.
        TargetError: Nothing answered, it cannot be kept, or it was made anew too short a time ago.
        MlopsError: It was made anew, and the ledger cannot be written.
    """
    guard, mode = _guard(workspace, stage, address)
    if (key is KeyType.SIGNING) != (mode == _TOKEN):
        raise _other_kind(address, mode, key)
    scope = open_scopes(workspace, stage).stage
    origin = origin_of(workspace, reason or "a key was made anew")
    guard.regenerate(address, key, revoke=revoke)
    body: dict[str, JSON] = {"address": str(address), "key": key.value, "revoked": revoke}
    try:
        if scope is not None:
            scope.ledger.append(Event.ROTATED, origin, body=body)
    except MlopsError as error:
        detail = f"The {key} key of {address} is a new one, and the ledger does not say so."
        raise type(error)(Diagnostic("Not recorded", detail), *error.diagnostics) from error
    return credentials(workspace, stage, address)


def _other_kind(address: Address, mode: str, key: KeyType) -> Blocked:
    detail = f"{address} is live with auth_mode {mode}, which has no {key} key."
    todo = "Make the signing key anew:" if mode == _TOKEN else "Make one of the two keys anew:"
    other = KeyType.SIGNING if mode == _TOKEN else KeyType.PRIMARY
    command = f"mlops credentials {address.name.partition('@')[0]} --regenerate {other}"
    return Blocked(Diagnostic("Endpoint has no such key", detail, todo=todo, command=command))


def _guard(workspace: Workspace, stage: str, address: Address) -> tuple[Guarding, str]:
    driver = workspace.compute(stage, str(address.compute))
    if not isinstance(driver, Guarding):
        raise not_reachable(address)
    mode = str(live_endpoint(driver, address, stage).spec.get("auth_mode", _OPEN))
    if mode == _OPEN:
        raise Blocked(
            Diagnostic(
                "Endpoint asks for no credentials",
                f"{address} is live with auth_mode none: whoever reaches it may call it.",
                todo="Declare auth_mode: key or auth_mode: aml_token, and apply:",
                command=f"mlops apply --stage {stage}",
            )
        )
    return driver, mode


def check_has(found: Credentials, *, key: bool, token: bool) -> None:
    """Refuse to give one kind of credential for the other, which a script would send in vain.

    Raises:
        Blocked: A key is wanted of an endpoint that takes tokens, or a token of one that takes keys.
    """
    wanted = "key" if key and found.keys is None else "token" if token and found.token is None else None
    if wanted:
        other = "a token: --token" if wanted == "key" else "a key: --key primary"
        detail = f"{found.address} is live with auth_mode {found.mode}."
        raise Blocked(Diagnostic(f"Endpoint takes no {wanted}", detail, todo=f"Ask for {other}."))

"""The only contract that a registry or a compute has to meet.

A driver is one file, or one folder, and three verbs. It says what is live, makes it so, and takes it away; the engine
decides what to do and waits for health. A driver imports its SDK on first use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from mlops.resource import JSON, Address, FieldRule, Observed, Resource, Stamp, TrafficSupport

if TYPE_CHECKING:
    from pydantic import BaseModel


class Blobs(Protocol):
    """Content by digest, wherever the registry keeps it."""

    def has(self, sha256: str) -> bool:
        """Whether the content is here."""

    def path(self, sha256: str) -> Path:
        """A local, read-only file with the content.

        Raises:
            TargetError: It is not here, or its bytes no longer have this digest.
        """

    def add(self, source: Path, sha256: str) -> None:
        """Take in a file durably, or a directory as a deterministic tar; nothing happens when it is there already.

        Raises:
            TargetError: The content has another digest, or cannot be written.
        """


@dataclass(frozen=True, slots=True)
class Scope:
    """What a driver is told when it is made.

    Attributes:
        project: The project's id.
        stage: The stage it works for.
        name: The compute's name, or "registry".
        root: The repository's root folder.
        options: The compute's declaration, already checked against the driver's `Spec`.
        blobs: Content by digest; None for the registry itself.
    """

    project: str
    stage: str
    name: str
    root: Path
    options: Mapping[str, JSON] = field(default_factory=dict)
    blobs: Blobs | None = None


class Driver(Protocol):
    """Three verbs. `observe` is all that planning may call."""

    Spec: ClassVar[type[BaseModel]]
    """The compute's options; gives validation and the JSON Schema."""

    rules: ClassVar[tuple[FieldRule, ...]]
    """How fields behave here; a field without a rule is changed in place."""

    traffic: ClassVar[TrafficSupport]
    refused: ClassVar[Mapping[str, str]]
    """Declared fields that this target does not enforce, each with what to do: a dotted path, `*` for one name,
    optionally with `=value` for one value, or `>most` for all numbers above one."""

    is_local: ClassVar[bool]
    """Whether its objects live on this machine only: the ledger of a stage that is all local stays in this clone."""

    def __init__(self, scope: Scope) -> None:
        """Look at a scope; nothing is read or written yet."""

    def observe(self, only: frozenset[Address] | None = None) -> Iterable[Observed]:
        """What is live in this scope, in few calls; `only` narrows it."""

    def put(self, resource: Resource, stamp: Stamp) -> Mapping[str, str]:
        """Make it so, idempotently and cheaply when nothing differs; return its outputs without waiting for health.

        Raises:
            TargetError: It was refused or failed; whether it took effect is found by observing.
        """

    def delete(self, address: Address) -> None:
        """Take it away; success when it is already gone.

        Raises:
            TargetError: It was refused or failed.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered: HTTP status, headers in lower case, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@runtime_checkable
class Serving(Protocol):
    """What a driver of endpoints offers beside the three verbs."""

    def score(self, address: Address, body: bytes, deployment: str | None = None) -> Answer:
        """Send one request, to a live deployment by name or as a client would.

        Raises:
            TargetError: Nothing answered.
        """

    def logs(self, address: Address, deployment: str | None, lines: int) -> Iterable[str]:
        """The last lines of the logs, oldest first."""


@runtime_checkable
class Describing(Protocol):
    """What a driver offers whose endpoints can say what they take and give."""

    def describe(self, address: Address, deployment: str, version: str) -> Answer:
        """The OpenAPI document of one live deployment.

        Args:
            address: The endpoint.
            deployment: A live name.
            version: Of OpenAPI: 2, 3 or 3.1.

        Raises:
            TargetError: Nothing answered.
        """


class KeyType(StrEnum):
    """Which secret of an endpoint: one of two keys, of which the other opens meanwhile, or what signs its tokens."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    SIGNING = "signing"


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens an endpoint whose `auth_mode` is `key`; never shown by accident."""

    primary: str = field(repr=False)
    secondary: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """What opens an endpoint whose `auth_mode` is `aml_token`, for a while.

    Attributes:
        text: The token.
        expires_at: Epoch seconds.
        refresh_after: Epoch seconds from which on another one should be asked for.
    """

    text: str = field(repr=False)
    expires_at: float
    refresh_after: float


@runtime_checkable
class Guarding(Protocol):
    """What a driver offers whose endpoints ask who calls. Nothing of it is ever recorded."""

    def keys(self, address: Address) -> Keys:
        """Both keys.

        Raises:
            TargetError: Nothing answered.
        """

    def regenerate(self, address: Address, key: KeyType, *, revoke: bool = False) -> None:
        """Make one secret anew; requests with an old key are refused from then on, and tokens live on.

        Args:
            address: The endpoint.
            key: Which secret.
            revoke: Of the signing key: believe no token any more that was issued so far.

        Raises:
            TargetError: Nothing answered, it cannot be kept, or it was made anew too short a time ago.
        """

    def token(self, address: Address) -> Token:
        """A new token.

        Raises:
            TargetError: Nothing answered.
        """


@dataclass(frozen=True, slots=True)
class Collected:
    """What one deployment's workers have collected of their requests, each since it began.

    Attributes:
        events: Events that were written.
        dropped: Events that were lost, by reason; only what is above 0.
        waiting: Events that are to be written yet.
        silent: Workers that did not answer, and of which nothing is in these figures.
    """

    events: int
    dropped: Mapping[str, int]
    waiting: int
    silent: int = 0


@runtime_checkable
class Counting(Protocol):
    """What a driver offers whose endpoints say how many events they collect."""

    def counted(self, addresses: frozenset[Address]) -> Mapping[Address, Mapping[str, Collected]]:
        """What the deployments of some endpoints have collected, by live name; without what did not answer."""


@runtime_checkable
class Collecting(Protocol):
    """What a driver offers whose endpoints keep what they collect on this machine."""

    def collected(self, address: Address) -> Path:
        """The folder of an endpoint's collected data, which is there once something was; it outlives the endpoint."""

"""The nouns of the engine: what is wanted, what is live, and how the two are compared.

Every value here is frozen. Specs are plain JSON in the words of the user's files, so that one diff serves every kind on
every compute. Nothing in this module reads or writes anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Protocol, TypeAlias

from mlops.errors import Diagnostic, Location, MlopsError

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
Spec: TypeAlias = "Mapping[str, JSON]"

SHARED = "shared"
"""The stage to which models, environments, images and shared foundations belong."""

STAMP_FORMAT = 1
STAMP_LIMIT = 250
"""A stamp has to fit a label or a tag of every target: bytes of its JSON."""


def canonical(value: JSON) -> bytes:
    """One byte string for a JSON value: keys sorted, no white space, UTF-8 (the idea of RFC 8785).

    Raises:
        ValueError: For NaN and infinities, which JSON does not have.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: JSON) -> str:
    """SHA-256 of the canonical form, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


class Kind(StrEnum):
    """The five kinds of objects, in the order in which they depend on each other."""

    INFRA = "infra"
    MODEL = "model"
    ENVIRONMENT = "environment"
    IMAGE = "image"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Which object: `model/fraud:4`, `endpoint/fraud@aks-prod`."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        """Write it as users do."""
        return f"{self.kind.value}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `kind/name`.

        Raises:
            MlopsError: The text is not an address.
        """
        kind, slash, name = text.partition("/")
        if not slash or not name or kind not in set(Kind):
            raise MlopsError(
                Diagnostic(
                    "Not an address",
                    f'"{text}" is not of the form kind/name.',
                    todo=f"Kinds are {', '.join(Kind)}; for example model/fraud:4 or endpoint/fraud@local-dev.",
                )
            )
        return cls(Kind(kind), name)

    @property
    def compute(self) -> str | None:
        """The compute in an endpoint's identity; None for other kinds."""
        return self.name.rpartition("@")[2] if self.kind is Kind.ENDPOINT and "@" in self.name else None


class TrafficSupport(StrEnum):
    """What a compute can do with an endpoint's traffic."""

    WEIGHTED = "weighted"
    FLEET = "fleet"
    NONE = "none"


class FieldEffect(StrEnum):
    """What a difference in one field does to the live object, in increasing severity."""

    IGNORED = "ignored"
    IN_PLACE = "in place"
    RESTART = "restart"
    REPLACE = "replace"
    IMMUTABLE = "immutable"


SEVERITY: Mapping[FieldEffect, int] = {effect: rank for rank, effect in enumerate(FieldEffect)}


class Unset(StrEnum):
    """The absence of a value, which JSON's null is not."""

    UNSET = "(unset)"


UNSET = Unset.UNSET


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How one field behaves on a target, and why.

    Attributes:
        path: Dotted path; `*` stands for one name, and a rule holds for everything below its path.
        effect: What a difference does.
        reason: Shown to the user beside the difference.
        when: Holds only if the declared spec has this value at this path (`*` stands for what it stood for in `path`).
        default: What the target does where nothing is said: as good as saying so. Only for what the target reports
            whenever it does otherwise, because then what is live and declared by nobody is drift; of a mapping, all
            that is in it.
    """

    path: str
    effect: FieldEffect
    reason: str
    when: tuple[str, JSON] | None = None
    default: JSON | Unset = UNSET


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field in which the three sides differ.

    Attributes:
        path: Dotted path within the spec.
        declared: The value in Git, or UNSET.
        applied: The value that was applied last, or UNSET where it was unset or is not known.
        live: The value found on the target, or UNSET.
        effect: What making it so does.
        reason: Why: an edit, a drift, a removal, or the rule that suppresses it.
    """

    path: str
    declared: JSON | Unset
    applied: JSON | Unset
    live: JSON | Unset
    effect: FieldEffect
    reason: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """Bytes that a spec refers to by digest.

    Attributes:
        sha256: Digest of the content: of the file, or of the deterministic tar of a directory.
        source: Path relative to the repository (a file, or a directory that ends in "/"), or a URI.
        size: Bytes, 0 where not known.
    """

    sha256: str
    source: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Checks:
    """What is checked between the steps of a rollout.

    Attributes:
        sample_request: Score the endpoint's sample request on the new deployment.
        max_error_rate: Largest share of failed requests on the new deployment, 0 to 1; None: not checked.
        min_requests: Fewer requests than this are unknown, and unknown waits.
        deadline: Seconds after which an unknown check returns to the last good state.
    """

    sample_request: bool = True
    max_error_rate: float | None = None
    min_requests: int = 0
    deadline: float = 600.0


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a change of a deployment's content reaches its traffic.

    Attributes:
        strategy: "all_at_once", "canary" or "blue_green".
        weights: Percent of the traffic of the deployment that goes to the new version, step by step, before 100.
        soak: Seconds that each of those steps has to stay good.
        checks: What is checked at each step.
    """

    strategy: str = "all_at_once"
    weights: tuple[int, ...] = ()
    soak: float = 0.0
    checks: Checks = field(default_factory=Checks)


@dataclass(frozen=True)
class Resource:
    """One object as it is wanted in one stage.

    Attributes:
        address: Which object.
        driver: Name of the driver that owns it: a compute's name, or "registry".
        spec: What the user wrote, with references resolved to content; the goal digest is the digest of this.
        after: What must be done before it.
        waits: What is not declared in Git yet and must be, such as `model/fraud:5`.
        protect: Refuse to delete or replace it.
        rollout: How an endpoint's change is rolled out; no part of the goal.
        artifacts: Content behind the digests in the spec; no part of the goal.
        origin: Where it is declared.
        timeout: Seconds to wait for it to become healthy; None: the kind's default.
    """

    address: Address
    driver: str
    spec: Spec
    after: frozenset[Address] = frozenset()
    waits: tuple[str, ...] = ()
    protect: bool = False
    rollout: Rollout = field(default_factory=Rollout)
    artifacts: tuple[Artifact, ...] = ()
    origin: Location | None = None
    timeout: float | None = None

    @cached_property
    def goal(self) -> str:
        """Digest of the spec: with the address, what is remembered as good or bad."""
        return digest(self.spec)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Proof that an object is ours, written on it. Fits a label or a tag: under 250 bytes of JSON."""

    project: str
    stage: str
    address: str
    goal: str
    format: int = STAMP_FORMAT

    def to_json(self) -> dict[str, JSON]:
        """The stamp as a flat JSON object."""
        return {
            "format": self.format,
            "project": self.project,
            "stage": self.stage,
            "address": self.address,
            "goal": self.goal,
        }

    @classmethod
    def from_json(cls, value: object) -> Stamp | None:
        """Read a stamp; None where the value is none of ours. A newer format is read and left to the plan to refuse."""
        if not isinstance(value, Mapping):
            return None
        texts = [value.get(key) for key in ("project", "stage", "address", "goal")]
        version = value.get("format")
        if not isinstance(version, int) or not all(isinstance(text, str) for text in texts):
            return None
        project, stage, address, goal = (str(text) for text in texts)
        return cls(project, stage, address, goal, version)


class HealthState(StrEnum):
    """The states of Azure ML's service, from best to worst."""

    HEALTHY = "Healthy"
    TRANSITIONING = "Transitioning"
    UNHEALTHY = "Unhealthy"
    UNSCHEDULABLE = "Unschedulable"
    FAILED = "Failed"


_RANK: Mapping[HealthState, int] = {state: rank for rank, state in enumerate(HealthState)}


@dataclass(frozen=True, slots=True)
class Health:
    """How a live object is.

    Attributes:
        state: One of five.
        reason: One line; empty when healthy.
        ready: How many replicas or devices are ready, where it is a fleet.
        wanted: How many there should be.
        log: The last lines of the log, where the state is bad.
    """

    state: HealthState = HealthState.HEALTHY
    reason: str = ""
    ready: int | None = None
    wanted: int | None = None
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests that one live deployment has answered since its counters began, and how many of them failed."""

    requests: int
    errors: int


@dataclass(frozen=True)
class Observed:
    """One object as it is live.

    Attributes:
        address: Which object.
        spec: What it is, in the words of `Resource.spec`; an endpoint's deployments under their live names.
        stamp: None where the object has our name but is not ours.
        outputs: What it offers, such as `scoring_uri`.
        health: How it is.
        traffic: Per live deployment, what the gateway counted.
        healths: Per live deployment, how it is, where the target tells them apart.
        settling: Whether the target is still on its way to what it was told, however healthy it is meanwhile.
    """

    address: Address
    spec: Spec
    stamp: Stamp | None
    outputs: Mapping[str, str] = field(default_factory=dict)
    health: Health = field(default_factory=Health)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    healths: Mapping[str, Health] = field(default_factory=dict)
    settling: bool = False

    def health_of(self, deployments: Iterable[str]) -> Health:
        """The worst health among some live deployments; that of the whole where the target does not tell them apart."""
        names = tuple(deployments)
        if not names or any(name not in self.healths for name in names):
            return self.health
        return max((self.healths[name] for name in names), key=lambda health: _RANK[health.state])


class Event(StrEnum):
    """What the ledger records."""

    STARTED = "started"
    STEP = "step"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    PAUSED = "paused"
    APPROVED = "approved"
    OBSERVED = "observed"
    DENIED = "denied"
    ALLOWED = "allowed"
    ROTATED = "rotated"


class Recorder(Protocol):
    """By which apply tells the ledger, while it holds the lock."""

    def step(self, address: Address, goal: str, step: int, spec: Spec, *, done: bool) -> None:
        """Record that an endpoint's rollout is about to put (done=False) or has put and checked (True) a step."""

    def denied(self, address: Address, goal: str, reason: str) -> None:
        """Remember a goal as bad."""

    def pause(self, address: Address, until: float, reason: str = "") -> object:
        """Record that the step of a rollout that is live was found good and soaks until a time in epoch seconds."""

    def held(self) -> None:
        """Return while the lock is surely ours.

        Raises:
            Locked: The lease ran out or was broken; nothing more may be written to any target.
        """


def by_address(values: Iterable[Observed]) -> dict[Address, Observed]:
    """Live objects keyed by their address."""
    return {value.address: value for value in values}

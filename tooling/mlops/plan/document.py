"""The shape of a plan file: versioned JSON, read strictly, published as a JSON Schema.

Pydantic stands at this edge only; inside, a plan is plain frozen dataclasses.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from mlops.plan.change import Action
from mlops.resource import FieldEffect, HealthState

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
AddressText = Annotated[str, Field(pattern="^(infra|model|environment|image|endpoint)/.+$", max_length=300)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class FieldDocument(_Document):
    """One field that differs; a side that is absent is unset."""

    path: str
    """Dotted path within the spec."""
    declared: JsonValue = None
    """The value in Git."""
    applied: JsonValue = None
    """The value that was applied last."""
    live: JsonValue = None
    """The value found on the target."""
    effect: FieldEffect
    """What making it so does."""
    reason: str
    """Why it differs, or the rule that suppresses it."""


class StepDocument(_Document):
    """One spec to put."""

    title: str
    """What it does, for people."""
    spec: dict[str, JsonValue]
    """The whole object."""
    weight: int | None = None
    """Percent of the traffic on the new version."""
    soak: float = 0.0
    """Seconds that it has to stay good."""
    check: list[str] = []
    """Live names of the deployments to check."""
    soaked: bool = False
    """Whether it has soaked already and is only checked."""


class ChecksDocument(_Document):
    """What is checked between steps."""

    sample_request: bool
    """Score the sample request."""
    max_error_rate: float | None
    """Largest share of failed requests, 0 to 1."""
    min_requests: int
    """Fewer are unknown."""
    deadline: float
    """Seconds after which unknown returns."""


class RolloutDocument(_Document):
    """How a change reaches traffic."""

    strategy: str
    """all_at_once, canary or blue_green."""
    weights: list[int]
    """Percent, step by step."""
    soak: float
    """Seconds a step."""
    checks: ChecksDocument
    """What is checked."""


class ArtifactDocument(_Document):
    """Content behind a digest in the spec."""

    sha256: Digest
    """Of the content."""
    source: str
    """Path in the repository, or a URI."""
    size: int = 0
    """Bytes."""


class ResourceDocument(_Document):
    """An object as it is wanted."""

    spec: dict[str, JsonValue]
    """What is declared."""
    after: list[AddressText] = []
    """What must be done before."""
    protect: bool = False
    """Refuse to delete or replace it."""
    rollout: RolloutDocument
    """How it is rolled out."""
    artifacts: list[ArtifactDocument] = []
    """Its content."""
    origin: str | None = None
    """The file that declares it."""
    timeout: float | None = None
    """Seconds to wait for health."""


class HealthDocument(_Document):
    """How the live object is."""

    state: HealthState
    """One of five."""
    reason: str = ""
    """One line."""


class ChangeDocument(_Document):
    """One decision."""

    address: AddressText
    """Which object."""
    action: Action
    """What is done."""
    reason: str
    """Why."""
    driver: str = ""
    """Who does it."""
    fields: list[FieldDocument] = []
    """What differs."""
    steps: list[StepDocument] = []
    """The specs to put, in order."""
    start: dict[str, JsonValue] | None = None
    """What to return to."""
    start_goal: Digest | None = None
    """Its goal."""
    waits: list[str] = []
    """What it waits for."""
    uses: list[AddressText] = []
    """What the live object refers to."""
    desired: ResourceDocument | None = None
    """The object as wanted, where something is done."""
    basis: str
    """Digest of the live object, or "absent"."""
    before: Digest | None = None
    """Goal of the live object."""
    goal: Digest | None = None
    """Goal that is wanted."""
    health: HealthDocument | None = None
    """How the live object is."""


class SectionDocument(_Document):
    """The changes of one stage."""

    stage: str
    """The stage, or shared."""
    live: int
    """How many objects of it are live and ours."""
    changes: list[ChangeDocument]
    """In the order in which they are done."""


class DigestsDocument(_Document):
    """What it is about, what it does, what must not have moved."""

    goal: Digest
    """Of the resolved specs."""
    effect: Digest
    """Of from, to and steps: what is approved."""
    basis: Digest
    """Of the live objects that it touches."""


class PlanDocument(_Document):
    """A plan."""

    format: Literal[1]
    """Version of this format."""
    project: str
    """The project's id."""
    stage: str
    """The stage."""
    only: list[AddressText] = []
    """What the plan was narrowed to; empty: everything."""
    retry: list[AddressText] = []
    """Objects whose bad goal it allows again."""
    revision: dict[str, JsonValue] = {}
    """Commit, branch, dirty: for people."""
    digests: DigestsDocument
    """The three digests."""
    sections: list[SectionDocument]
    """Shared first."""

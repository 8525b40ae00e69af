"""What versions there are: as Git declares them, beside what the registry holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from mlops.drivers.registry import content_digest
from mlops.errors import Diagnostic, NotFound, did_you_mean
from mlops.pipeline.usage import users_of
from mlops.pipeline.workspace import Workspace
from mlops.resolve.findings import Findings
from mlops.resolve.versions import resolve_versions
from mlops.resource import Address, HealthState, Kind, Observed, Spec, digest
from mlops.schemas.names import Reference


class State(StrEnum):
    """How Git and the registry agree about a version.

    DECLARED: Git declares it and no apply has registered it yet. REGISTERED: it is in both and equal. CHANGED: its
    tags or description were edited since the last apply. DIFFERS: its content was, which no apply will take.
    UNDECLARED: only the registry has it.
    """

    DECLARED = "declared"
    REGISTERED = "registered"
    CHANGED = "changed"
    DIFFERS = "differs"
    UNDECLARED = "undeclared"


@dataclass(frozen=True)
class Version:
    """One version of a model or an environment.

    Attributes:
        kind: MODEL or ENVIRONMENT.
        name: Its name.
        version: Its version.
        state: How Git and the registry agree.
        spec: What it is, in the words of its YAML, with digests: as Git declares it, otherwise as registered.
        file: The YAML, relative to the repository; None where Git has none.
        registered: When it was registered, in ISO 8601, or None.
        ours: Whether an apply of this project registered it.
        problem: Why the registered version cannot be used, or empty.
    """

    kind: Kind
    name: str
    version: str
    state: State
    spec: Spec
    file: str | None
    registered: str | None
    ours: bool
    problem: str

    @property
    def reference(self) -> str:
        """`name:version`."""
        return f"{self.name}:{self.version}"

    @property
    def address(self) -> Address:
        """Its address in plans."""
        return Address(self.kind, self.reference)

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags."""
        return cast("Mapping[str, str]", self.spec.get("tags") or {})

    @property
    def properties(self) -> Mapping[str, str]:
        """Its properties."""
        return cast("Mapping[str, str]", self.spec.get("properties") or {})

    @property
    def description(self) -> str:
        """Its description, or empty."""
        return str(self.spec.get("description") or "")


@dataclass(frozen=True)
class Details:
    """Everything about one version.

    Attributes:
        version: The version.
        users: What declares, applied or serves it, over all stages; what cannot be asked is among them.
    """

    version: Version
    users: tuple[str, ...]


def list_versions(workspace: Workspace, kind: Kind) -> tuple[Version, ...]:
    """All versions of a kind, by name and then by number.

    Raises:
        TargetError: The registry cannot be read.
    """
    live = {o.address: o for o in workspace.registry.observe() if o.address.kind is kind}
    found = [_declared(address, spec, file, live.get(address)) for address, spec, file in _in_git(workspace, kind)]
    known = {version.address for version in found}
    found.extend(_undeclared(observed) for address, observed in live.items() if address not in known)
    return tuple(sorted(found, key=_order))


def show_version(workspace: Workspace, kind: Kind, reference: Reference) -> Details:
    """One version, and who uses it.

    Raises:
        NotFound: Neither Git nor the registry has it.
        TargetError: The registry cannot be read.
    """
    address = Address(kind, str(reference))
    observed = {o.address: o for o in workspace.registry.observe(frozenset({address}))}.get(address)
    declared = next((item for item in _in_git(workspace, kind) if item[0] == address), None)
    if declared is not None:
        version = _declared(*declared, observed)
    elif observed is not None:
        version = _undeclared(observed)
    else:
        raise _unknown(workspace, kind, reference)
    return Details(version, users_of(workspace, frozenset({address})).get(address, ()))


def _in_git(workspace: Workspace, kind: Kind) -> Iterator[tuple[Address, Spec, str]]:
    """Declared versions with their specs; one that has a problem, with what its YAML says."""
    repository = workspace.repository
    versions = resolve_versions(repository, Findings())
    resolved = versions.models if kind is Kind.MODEL else versions.environments
    documents = repository.models if kind is Kind.MODEL else repository.environments
    for key, document in documents.items():
        version = resolved.get(key)
        yield Address(kind, key), version.resource.spec if version else document.data, document.file


def _declared(address: Address, spec: Spec, file: str, observed: Observed | None) -> Version:
    name, _, version = address.name.partition(":")
    if observed is None:
        return Version(address.kind, name, version, State.DECLARED, spec, file, None, ours=False, problem="")
    return Version(
        address.kind,
        name,
        version,
        _state(spec, observed.spec),
        spec,
        file,
        observed.outputs.get("registered"),
        ours=observed.stamp is not None,
        problem=_problem(observed),
    )


def _undeclared(observed: Observed) -> Version:
    name, _, version = observed.address.name.partition(":")
    return Version(
        observed.address.kind,
        name,
        version,
        State.UNDECLARED,
        observed.spec,
        None,
        observed.outputs.get("registered"),
        ours=observed.stamp is not None,
        problem=_problem(observed),
    )


def _state(declared: Spec, live: Spec) -> State:
    if digest(declared) == digest(live):
        return State.REGISTERED
    return State.CHANGED if content_digest(declared) == content_digest(live) else State.DIFFERS


def _problem(observed: Observed) -> str:
    return "" if observed.health.state is HealthState.HEALTHY else observed.health.reason


def _order(version: Version) -> tuple[str, bool, int, str]:
    """Names by letters; numbers as numbers, before versions that are none."""
    number = version.version.isdecimal()
    return version.name, not number, int(version.version) if number else 0, version.version


def _unknown(workspace: Workspace, kind: Kind, reference: Reference) -> NotFound:
    known = [version.reference for version in list_versions(workspace, kind)]
    detail = f"There is no {kind} {reference}. {did_you_mean(str(reference), known)}".rstrip()
    return NotFound(Diagnostic("No such version", detail, command=f"mlops {kind} list"))

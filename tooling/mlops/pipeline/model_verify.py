"""Verifying the registry against itself and against Git, and rebuilding it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mlops.drivers.registry import content_digest
from mlops.drivers.registry.rebuild import Rebuilt
from mlops.drivers.registry.rebuild import rebuild as rebuild_registry
from mlops.drivers.registry.verify import Verification
from mlops.drivers.registry.verify import verify as verify_registry
from mlops.errors import Diagnostic, Location, TargetError
from mlops.pipeline.registry_access import registry_of
from mlops.pipeline.workspace import Workspace
from mlops.resolve.findings import Findings
from mlops.resolve.versions import resolve_versions
from mlops.resource import Resource


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found.

    Attributes:
        registry: What the registry says of itself, after the rebuild where there was one.
        rebuilt: What the rebuild did, or None.
        problems: Everything that is wrong now; none is good.
    """

    registry: Verification
    rebuilt: Rebuilt | None
    problems: tuple[Diagnostic, ...]


def verify(workspace: Workspace, *, rebuild: bool = False, progress: Callable[[str], None] | None = None) -> Verified:
    """Hash everything that the registry holds again, and compare it with Git.

    Args:
        workspace: The opened repository.
        rebuild: First make a damaged index again, set damaged content aside and take it in again from the repository.
        progress: Told each digest before it is hashed.

    Raises:
        TargetError: The registry is of a newer format, or the disk failed.
        Blocked: The registry is not the embedded one.
    """
    registry = registry_of(workspace)
    declared = _declared(workspace)
    done = rebuild_registry(registry, declared, workspace.project) if rebuild else None
    found = verify_registry(registry, progress)
    problems = (*found.problems, *_against_git(workspace, declared))
    return Verified(found, done, problems)


def _declared(workspace: Workspace) -> tuple[Resource, ...]:
    versions = resolve_versions(workspace.repository, Findings())
    both = (*versions.models.values(), *versions.environments.values())
    return tuple(version.resource for version in both if version is not None)


def _against_git(workspace: Workspace, declared: Iterable[Resource]) -> Iterator[Diagnostic]:
    """Versions whose YAML says other content than what was registered under their number."""
    try:
        live = {observed.address: observed for observed in workspace.registry.observe()}
    except TargetError:  # said already by the registry of itself
        return
    for resource in declared:
        observed = live.get(resource.address)
        if observed is not None and content_digest(observed.spec) != content_digest(resource.spec):
            file = resource.origin.file if resource.origin else ""
            yield Diagnostic(
                "Declared version differs from what is registered",
                f"{resource.address} is registered with other content.",
                Location(file) if file else None,
                "A version is immutable: restore its YAML and files, or register the new content as the next version.",
                f"git log -- {file}" if file else "",
            )

"""From what is declared to what is wanted: references become content, and all problems are found at once.

Everything here is pure. What has to be read (documents, digests of files) was read by the loader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlops.errors import Diagnostic, InvalidRepository, NotFound, did_you_mean
from mlops.resolve.computes import ComputeType
from mlops.resolve.endpoints import Stage, resolve_endpoint
from mlops.resolve.findings import Findings
from mlops.resolve.merge import merge_patch
from mlops.resolve.refused import Refusals
from mlops.resolve.repository import (
    Content,
    DirectoryContent,
    Document,
    Endpoint,
    FileContent,
    Repository,
    Unusable,
)
from mlops.resolve.versions import REGISTRY, Versions, combined_digest, resolve_versions
from mlops.resource import Resource
from mlops.schemas.names import Reference, parse_reference
from mlops.schemas.problems import Problem

__all__ = [
    "REGISTRY",
    "ComputeType",
    "Content",
    "DirectoryContent",
    "Document",
    "Endpoint",
    "FileContent",
    "Reference",
    "Repository",
    "Resolved",
    "Unusable",
    "combined_digest",
    "merge_patch",
    "parse_reference",
    "resolve",
    "survey",
    "unknown_type",
]


@dataclass(frozen=True)
class Resolved:
    """What is wanted in one stage.

    Attributes:
        stage: The stage.
        resources: Its endpoints.
        shared: All models and environments that Git declares, whatever the stage.
    """

    stage: str
    resources: tuple[Resource, ...]
    shared: tuple[Resource, ...]


def resolve(repository: Repository, stage: str, compute_types: Mapping[str, ComputeType]) -> Resolved:
    """What is wanted in a stage.

    Args:
        repository: What is declared.
        stage: A declared stage.
        compute_types: By type; a type is looked up only if a declared compute has it.

    Raises:
        NotFound: The stage is not declared.
        InvalidRepository: With every problem of the stage and of what all stages share.
    """
    if stage not in repository.stages:
        guess = did_you_mean(stage, list(repository.stages))
        detail = f'mlops.yaml declares no stage "{stage}". {guess}'.rstrip()
        todo = f"Declared stages: {', '.join(repository.stages)}."
        raise NotFound(Diagnostic("No such stage", detail, todo=todo))
    findings = Findings()
    found = _stages(repository, (stage,), compute_types, findings)
    if len(findings):
        raise InvalidRepository(*findings.diagnostics(repository.locate))
    return found[stage]


def survey(
    repository: Repository, compute_types: Mapping[str, ComputeType]
) -> tuple[Mapping[str, Resolved], tuple[Diagnostic, ...]]:
    """Every stage as far as it can be resolved, and all problems of all stages."""
    findings = Findings()
    found = _stages(repository, tuple(repository.stages), compute_types, findings)
    return found, findings.diagnostics(repository.locate)


def _stages(
    repository: Repository, stages: tuple[str, ...], compute_types: Mapping[str, ComputeType], findings: Findings
) -> dict[str, Resolved]:
    versions = resolve_versions(repository, findings)
    shared = _resources(versions)
    computes = _types(repository, compute_types, findings)
    refusals = {name: Refusals(compute.refused) for name, compute in computes.items()}
    found: dict[str, Resolved] = {}
    for name in stages:
        stage = Stage(repository, name, versions, computes, refusals, findings)
        resources = [
            resource
            for endpoint in repository.endpoints.values()
            if (document := endpoint.stages.get(name)) is not None
            and (resource := resolve_endpoint(stage, endpoint, document)) is not None
        ]
        found[name] = Resolved(name, tuple(resources), shared)
    return found


def _resources(versions: Versions) -> tuple[Resource, ...]:
    both = (*versions.models.values(), *versions.environments.values())
    return tuple(version.resource for version in both if version is not None)


def _types(
    repository: Repository, compute_types: Mapping[str, ComputeType], findings: Findings
) -> dict[str, ComputeType]:
    """The types of the declared computes, each looked up once."""
    found: dict[str, ComputeType] = {}
    for name, options in repository.computes.items():
        kind = options["type"]
        if kind in found:
            continue
        if kind in compute_types:
            found[kind] = compute_types[kind]
        else:
            findings.add((repository.project.file,), unknown_type(name, kind, compute_types))
    return found


def unknown_type(compute: str, kind: str, compute_types: Mapping[str, ComputeType]) -> Problem:
    """The problem of a compute whose type no driver has."""
    known = sorted(compute_types)
    todo = did_you_mean(kind, known) or f"Known types: {', '.join(known)}."
    return Problem(("computes", compute, "type"), "Unknown compute type", f'There is no driver "{kind}".', todo)

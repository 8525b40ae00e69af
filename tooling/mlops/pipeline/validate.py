"""`mlops validate`: every problem of every file and every stage, without asking any registry or compute."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlops.errors import Diagnostic
from mlops.loader import read
from mlops.pipeline.workspace import ComputeTypes, find_root, open_git
from mlops.resolve import survey
from mlops.resolve.findings import in_order


@dataclass(frozen=True)
class Validation:
    """What was checked, and what is wrong with it.

    Attributes:
        root: The repository's root.
        problems: Everything that is wrong, in the order of files and lines.
        stages: Names of the stages that were resolved.
        models: How many versions of models are declared.
        environments: How many versions of environments are declared.
        endpoints: How many endpoints are declared, each in one stage or several.
    """

    root: Path
    problems: tuple[Diagnostic, ...]
    stages: tuple[str, ...]
    models: int
    environments: int
    endpoints: int


def validate(directory: Path, *, cache: bool = True) -> Validation:
    """Check the repository around a directory.

    Args:
        directory: A folder in the repository.
        cache: Whether what was checked before is believed.

    Raises:
        InvalidRepository: There is no repository, or Git tracks what must not be believed.
    """
    root = find_root(directory)
    open_git(root)
    types = ComputeTypes()
    loaded = read(root, cache=cache, compute_types=types)
    repository = loaded.repository
    _, problems = survey(repository, types) if repository.project.data else ({}, ())
    return Validation(
        root,
        in_order((*loaded.problems, *problems)),
        tuple(repository.stages),
        len(repository.models),
        len(repository.environments),
        len(repository.endpoints),
    )

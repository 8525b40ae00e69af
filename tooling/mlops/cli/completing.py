"""What a shell offers for stages, addresses and endpoints: names of the repository around the directory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlops.errors import MlopsError

if TYPE_CHECKING:
    from mlops.resolve import Repository


def _repository(context: click.Context) -> Repository | None:
    """The repository's documents; None where they cannot be read, because a completion has nobody to tell."""
    from mlops.loader import load  # noqa: PLC0415 - only a shell that completes needs it
    from mlops.pipeline.workspace import find_root, open_git  # noqa: PLC0415

    directory = context.find_root().params.get("directory")
    with contextlib.suppress(MlopsError, OSError):
        root = find_root(directory if isinstance(directory, Path) else Path())
        open_git(root)
        return load(root)
    return None


def _endpoints(repository: Repository) -> Iterator[str]:
    for name, endpoint in repository.endpoints.items():
        for document in endpoint.stages.values():
            yield f"{name}@{document.data['compute']}"


def stages(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of stages."""
    repository = _repository(context)
    names = (*repository.stages, "shared") if repository is not None else ()
    return [name for name in names if name.startswith(incomplete)]


def endpoints(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of endpoints."""
    repository = _repository(context)
    return [name for name in (repository.endpoints if repository is not None else ()) if name.startswith(incomplete)]


def versions(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """`name:version` of models."""
    repository = _repository(context)
    return [name for name in (repository.models if repository is not None else ()) if name.startswith(incomplete)]


def environments(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """`name:version` of environments."""
    repository = _repository(context)
    return [n for n in (repository.environments if repository is not None else ()) if n.startswith(incomplete)]


def objects(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of endpoints, and addresses of everything."""
    return [*endpoints(context, parameter, incomplete), *addresses(context, incomplete)]


def addresses(context: click.Context, incomplete: str) -> list[str]:
    """Addresses of everything that is declared."""
    repository = _repository(context)
    if repository is None:
        return []
    found = [f"model/{name}" for name in repository.models]
    found += [f"environment/{name}" for name in repository.environments]
    found += [f"endpoint/{name}" for name in dict.fromkeys(_endpoints(repository))]
    return [address for address in found if address.startswith(incomplete)]

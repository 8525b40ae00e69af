"""What one deployment needs on disk, taken in from the work tree and laid out for workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from mlops.driver import Blobs
from mlops.drivers.local.configuration import Sources, runtime
from mlops.drivers.local.content import ensure_code, ensure_model
from mlops.drivers.local.environments import Environment, ensure_environment
from mlops.drivers.local.folders import Folders
from mlops.drivers.local.watching import mapping
from mlops.errors import Diagnostic, TargetError
from mlops.resource import JSON, Artifact


def prepare(
    folders: Folders, blobs: Blobs, root: Path, artifacts: Sequence[Artifact], deployment: Mapping[str, JSON]
) -> Sources:
    """Make a deployment's model, code and virtual environment available on this machine.

    Args:
        folders: Where to.
        blobs: Where content is by digest.
        root: The repository; artifacts that are not in the blobs yet are taken in from there.
        artifacts: Where they are in the repository.
        deployment: In live form.

    Raises:
        TargetError: Something is missing, has other bytes than its digest says, or cannot be made.
    """
    runtime(deployment)
    environment = mapping(deployment.get("environment"))
    lock = environment.get("lock")
    if not isinstance(lock, str):
        raise _no_lock(environment)
    take_in(blobs, root, artifacts, set(_digests(deployment)))
    files = {path: str(sha256) for path, sha256 in mapping(mapping(deployment.get("model")).get("files")).items()}
    if not files and "model" in deployment:
        raise _no_files(mapping(deployment["model"]))
    code = mapping(deployment.get("code")).get("sha256")
    title = f"{environment.get('name', 'environment')}:{environment.get('version', '')}".rstrip(":")
    python = environment.get("python")
    wanted = Environment(title, blobs.path(lock), lock, str(python) if python is not None else None)
    return Sources(
        ensure_environment(folders, wanted),
        ensure_model(folders, blobs, files) if files else None,
        ensure_code(folders, blobs, str(code)) if code is not None else None,
    )


def take_in(blobs: Blobs, root: Path, artifacts: Sequence[Artifact], wanted: set[str]) -> None:
    """Add what is wanted and missing to the blobs, from the work tree.

    Raises:
        TargetError: A file changed since its digest was declared.
    """
    for artifact in artifacts:
        if artifact.sha256 in wanted and not blobs.has(artifact.sha256):
            source = artifact.source
            if source.startswith("file://"):
                source = unquote(source.removeprefix("file://"))
            if "://" not in source:
                blobs.add(root / source, artifact.sha256)


def _digests(deployment: Mapping[str, JSON]) -> Iterator[str]:
    for digest in (
        *mapping(mapping(deployment.get("model")).get("files")).values(),
        mapping(deployment.get("environment")).get("lock"),
        mapping(deployment.get("code")).get("sha256"),
    ):
        if isinstance(digest, str):
            yield digest


def _no_lock(environment: Mapping[str, JSON]) -> TargetError:
    name = f"{environment.get('name', 'The environment')}:{environment.get('version', '')}".rstrip(":")
    return TargetError(
        Diagnostic(
            "Environment has no lock",
            f"{name} has no locked pip packages, and local processes run no images.",
            todo="Give it requirements and lock them, or serve the endpoint on a compute that runs images.",
            command=f"mlops environment lock {name}",
        )
    )


def _no_files(model: Mapping[str, JSON]) -> TargetError:
    name = f"{model.get('name')}:{model.get('version')}"
    return TargetError(Diagnostic("Model is not declared", f"Git declares no files of {name}.", todo="Register it."))

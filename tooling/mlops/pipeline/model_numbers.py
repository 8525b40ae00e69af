"""Version numbers: the next one is one more than any that Git, the registry or a tombstone has, or ever had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from mlops.errors import Diagnostic, InvalidRepository, NotFound, did_you_mean
from mlops.pipeline.registry_access import registry_of
from mlops.pipeline.workspace import Workspace
from mlops.resource import Kind
from mlops.schemas.names import NameKind, Reference, check_name, parse_reference


def next_number(workspace: Workspace, name: str) -> int:
    """The number of a model's next version; somebody else may take it at the same moment.

    Raises:
        TargetError: The registry cannot be asked.
    """
    return 1 + max((int(version) for version in _taken(workspace, name) if version.isdecimal()), default=0)


def checked_name(workspace: Workspace, name: str) -> str:
    """A model's name, if it may be one.

    Raises:
        InvalidRepository: It breaks the grammar, or differs from another only in case.
    """
    try:
        check_name(NameKind.MODEL, name)
    except ValueError as error:
        raise InvalidRepository(Diagnostic("Invalid name", str(error), todo="Choose another name.")) from None
    for other in {key.partition(":")[0] for key in workspace.repository.models}:
        if other != name and other.casefold() == name.casefold():
            detail = f"{name} and {other} are one folder on Windows and macOS."
            raise InvalidRepository(Diagnostic("Names differ only in case", detail, todo=f"Write {other}."))
    return name


def checked_reference(text: str, kind: NameKind = NameKind.MODEL) -> Reference:
    """Read `name:version`.

    Raises:
        NotFound: It is no reference to one version.
    """
    try:
        return parse_reference(text, kind)
    except ValueError as error:
        raise NotFound(Diagnostic("Not a version", str(error), todo="Name it as NAME:VERSION.")) from None


def declared_file(workspace: Workspace, reference: Reference) -> str:
    """The YAML of a declared model version, relative to the repository.

    Raises:
        NotFound: Git does not declare it.
    """
    document = workspace.repository.models.get(str(reference))
    if document is None:
        raise unknown(reference, workspace.repository.models)
    return document.file


def unknown(reference: Reference, known: Iterable[str]) -> NotFound:
    """What is said of a version that is not there."""
    detail = f"There is no {reference}. {did_you_mean(str(reference), list(known))}".rstrip()
    return NotFound(Diagnostic("No such version", detail, command="mlops model list"))


def _taken(workspace: Workspace, name: str) -> Iterator[str]:
    prefix = f"{name}:"
    yield from (key.removeprefix(prefix) for key in workspace.repository.models if key.startswith(prefix))
    yield from workspace.repository.tombstones.get(name, ())
    yield from _in_folder(workspace.root / "models" / name)
    yield from registry_of(workspace).taken(Kind.MODEL, name)


def _in_folder(folder: Path) -> Iterator[str]:
    """Numbers that files have already, such as those of another registration that is under way."""
    if folder.is_dir():
        yield from (entry.name.removesuffix(".yaml") for entry in folder.iterdir())

"""Editing what of a version may be edited: tags and description, as lines of its YAML."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from mlops.errors import Diagnostic, NotFound, did_you_mean
from mlops.pipeline.model_document import edit
from mlops.pipeline.model_numbers import checked_reference, declared_file
from mlops.pipeline.workspace import Workspace
from mlops.schemas.names import Reference


@dataclass(frozen=True, slots=True)
class Edit:
    """What to change.

    Attributes:
        set_tags: Tags to add or to give another value.
        unset_tags: Tags to remove.
        description: The new description; empty removes it, None leaves it.
    """

    set_tags: Mapping[str, str] = field(default_factory=dict)
    unset_tags: Collection[str] = ()
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """What became of an edit.

    Attributes:
        reference: `name:version`.
        file: The YAML, relative to the repository.
        changed: Whether it differs now; a change is for a commit and an apply.
    """

    reference: str
    file: str
    changed: bool


def tag(workspace: Workspace, reference: str, change: Edit) -> Edited:
    """Edit the YAML of a model version; the next apply carries it to the registry.

    Raises:
        NotFound: Git declares no such version, or it has no such tag to remove.
        InvalidRepository: The outcome would be refused; nothing has changed then.
    """
    found = checked_reference(reference)
    file = declared_file(workspace, found)
    _expect_tags(workspace, found, change.unset_tags)
    changes: dict[str, Mapping[str, str | None] | str | None] = {}
    tags: dict[str, str | None] = {**dict.fromkeys(change.unset_tags), **change.set_tags}
    if tags:
        changes["tags"] = tags
    if change.description is not None:
        changes["description"] = change.description or None
    return Edited(str(found), file, edit(workspace.root / file, file, changes))


def _expect_tags(workspace: Workspace, reference: Reference, names: Collection[str]) -> None:
    tags = workspace.repository.models[str(reference)].data.get("tags") or {}
    problems = [
        Diagnostic("No such tag", f'{reference} has no tag "{name}". {did_you_mean(name, list(tags))}'.rstrip())
        for name in names
        if name not in tags
    ]
    if problems:
        raise NotFound(*problems)

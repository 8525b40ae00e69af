"""What `mlops model` and `mlops environment` do: register, adopt, list, show, tag, delete and verify versions.

All of these change files in Git, or nothing; what they declare reaches the registry with the next apply. Only the bytes
of a large model go into the blob store at once.
"""

from __future__ import annotations

from mlops.pipeline.model_adopt import Adopted, adopt
from mlops.pipeline.model_delete import Deleted, delete
from mlops.pipeline.model_edit import Edit, Edited, tag
from mlops.pipeline.model_numbers import checked_reference
from mlops.pipeline.model_register import BESIDE_LIMIT, Registered, Registration, register
from mlops.pipeline.model_verify import Verified, verify
from mlops.pipeline.registry_search import Search, matching
from mlops.pipeline.registry_versions import Details, State, Version, list_versions, show_version
from mlops.pipeline.workspace import Workspace
from mlops.resource import Kind
from mlops.schemas.names import NameKind

__all__ = [
    "BESIDE_LIMIT",
    "Adopted",
    "Deleted",
    "Details",
    "Edit",
    "Edited",
    "Registered",
    "Registration",
    "Search",
    "State",
    "Verified",
    "Version",
    "adopt",
    "delete",
    "list_environments",
    "list_models",
    "register",
    "show_environment",
    "show_model",
    "tag",
    "verify",
]


def list_models(workspace: Workspace, search: Search | None = None) -> tuple[Version, ...]:
    """Versions of models that match, by name and number.

    Raises:
        TargetError: The registry cannot be read.
    """
    return matching(list_versions(workspace, Kind.MODEL), search or Search())


def show_model(workspace: Workspace, reference: str) -> Details:
    """One version of a model, and who uses it.

    Raises:
        NotFound: Neither Git nor the registry has it.
        TargetError: The registry cannot be read.
    """
    return show_version(workspace, Kind.MODEL, checked_reference(reference))


def list_environments(workspace: Workspace, search: Search | None = None) -> tuple[Version, ...]:
    """Versions of environments that match, by name and number.

    Raises:
        TargetError: The registry cannot be read.
    """
    return matching(list_versions(workspace, Kind.ENVIRONMENT), search or Search())


def show_environment(workspace: Workspace, reference: str) -> Details:
    """One version of an environment, and who uses it.

    Raises:
        NotFound: Neither Git nor the registry has it.
        TargetError: The registry cannot be read.
    """
    return show_version(workspace, Kind.ENVIRONMENT, checked_reference(reference, NameKind.ENVIRONMENT))

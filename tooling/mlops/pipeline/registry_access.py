"""The embedded registry of a workspace, for what goes beyond a driver's three verbs."""

from __future__ import annotations

from mlops.drivers.registry import RegistryDriver
from mlops.errors import Blocked, Diagnostic
from mlops.pipeline.workspace import Workspace


def registry_of(workspace: Workspace) -> RegistryDriver:
    """The workspace's registry.

    Raises:
        Blocked: It is of another kind, which cannot do what was asked.
    """
    registry = workspace.registry
    if isinstance(registry, RegistryDriver):
        return registry
    kind = workspace.repository.registry.get("type")
    raise Blocked(
        Diagnostic(
            "Registry cannot do this",
            f"mlops.yaml names a registry of type {kind}; this needs the embedded one.",
            todo="Use that registry's own tools.",
        )
    )

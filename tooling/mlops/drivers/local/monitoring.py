"""Whether what is to be sent to Azure Monitor would arrive: its connection string is a credential and not in Git."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mlops.drivers.local import process
from mlops.drivers.local.home import Home
from mlops.drivers.local.watching import mapping
from mlops.errors import Diagnostic, TargetError
from mlops.resource import JSON

_VARIABLE = "APPLICATIONINSIGHTS_CONNECTION_STRING"
_DECLARABLE = frozenset({_VARIABLE, "AML_APP_INSIGHTS_KEY"})
"""What a worker makes a connection of, where its deployment or its environment declares it."""


def check_connection(home: Home, deployment: Mapping[str, JSON]) -> None:
    """Refuse a deployment that sends to Azure Monitor and would not know where to.

    Workers have the variable from their supervisor, which has it from who started it. One that lives keeps what it has.

    Args:
        home: The endpoint's folder.
        deployment: In live form.

    Raises:
        TargetError: The variable is nowhere.
    """
    if deployment.get("app_insights_enabled") is not True:
        return
    ours, shared = deployment.get("environment_variables"), mapping(deployment.get("environment")).get("variables")
    if _DECLARABLE & (mapping(ours).keys() | mapping(shared).keys()):
        return
    alive = process.is_alive(home)
    held = process.variables_of(home) if alive else os.environ
    if held is None or held.get(_VARIABLE):
        return
    detail = f"app_insights_enabled is true, and {_VARIABLE} has no value "
    if not alive:
        detail += "here."
        todo = "Set it, and apply again."
        raise TargetError(_missing(detail, todo, f"export {_VARIABLE}=CONNECTION_STRING"))
    detail += f"for {home.name}: its supervisor runs, and keeps the variables that it was started with."
    todo = f"Set it, and have the endpoint begun anew, for which nobody is served for a moment: destroy {home.name}, "
    raise TargetError(_missing(detail, f"{todo}and apply again.", ""))


def _missing(detail: str, todo: str, command: str) -> Diagnostic:
    return Diagnostic("Azure Monitor has no connection string", detail, todo=todo, command=command)

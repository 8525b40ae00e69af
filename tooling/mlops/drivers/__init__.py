"""Drivers, one module or folder each; the file name is the type that `mlops.yaml` names."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

from mlops.driver import Driver, Scope
from mlops.errors import Diagnostic, NotFound, did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

REGISTRY = "registry"


def names() -> tuple[str, ...]:
    """The types that can be named as a compute, without importing any of them."""
    ours = [m.name for m in pkgutil.iter_modules(__path__) if m.name != REGISTRY]
    theirs = [e.name for e in _theirs()]
    return tuple(sorted({*ours, *theirs}))


def _theirs() -> EntryPoints:
    """Drivers of other distributions."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - 25 ms that our own drivers do not need

    return entry_points(group="mlops.drivers")


def load(name: str) -> type[Driver]:
    """Import a driver by its type.

    Raises:
        NotFound: There is no such driver.
    """
    if name == REGISTRY or any(m.name == name for m in pkgutil.iter_modules(__path__)):
        module = importlib.import_module(f"{__name__}.{name}")
        return cast("type[Driver]", module.DRIVER)
    for entry in _theirs():
        if entry.name == name:
            return cast("type[Driver]", entry.load())
    raise NotFound(
        Diagnostic(
            "Unknown compute type",
            f'There is no driver "{name}". {did_you_mean(name, names())}'.rstrip(),
            todo=f"Known types are {', '.join(names())}.",
        )
    )


def make(name: str, scope: Scope) -> Driver:
    """Make a driver for a scope."""
    return load(name)(scope)

"""Importing a user's code from its sources alone.

The code directory is one that Git names, by a digest of its sources. Compiled files beside them are not part of that:
none is written there, and none that lies there is run.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any


class SourceOnly(SourceFileLoader):
    """Compiles each time; without the times of its source, Python has no use for a compiled file."""

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """Give none."""
        raise OSError(path)


def import_sources_of(directory: str) -> None:
    """Put a directory first on `sys.path`, to be read as sources.

    Args:
        directory: The code directory; other entries of the path stay as they are.
    """
    hook = FileFinder.path_hook((ExtensionFileLoader, EXTENSION_SUFFIXES), (SourceOnly, [".py"]))
    root = str(Path(directory))

    def only_below(path: str) -> object:
        if path != root and not path.startswith(f"{root}/"):
            raise ImportError(path)
        return hook(path)

    sys.path_hooks.insert(0, only_below)  # type: ignore[arg-type] # a FileFinder, which typeshed gives no name here
    sys.path.insert(0, directory)
    sys.path_importer_cache.pop(directory, None)


def import_source(name: str, path: Path) -> ModuleType | None:
    """Import one file under a name; None where it is not a Python file."""
    if path.suffix != ".py":
        return None
    specification = spec_from_file_location(name, path, loader=SourceOnly(name, str(path)))
    if specification is None or specification.loader is None:
        return None
    module = module_from_spec(specification)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    specification.loader.exec_module(module)
    return module

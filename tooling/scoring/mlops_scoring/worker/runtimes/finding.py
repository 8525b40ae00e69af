"""Which file of a model directory is the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlops_scoring.worker.scoring import StartFailed


def find_model(directory: Path, suffixes: Sequence[str]) -> Path:
    """The one file with one of these suffixes, or the one among several that is called `model`.

    Raises:
        StartFailed: None, or no telling which.
    """
    found = sorted(path for path in directory.rglob("*") if path.suffix in suffixes and path.is_file())
    named = [path for path in found if path.stem == "model"]
    for candidates in (found, named):
        if len(candidates) == 1:
            return candidates[0]
    wanted = " or ".join(f"*{suffix}" for suffix in suffixes)
    if not found:
        raise StartFailed(f"the model has no {wanted} file")
    names = ", ".join(path.name for path in found)
    raise StartFailed(f"the model has several {wanted} files ({names}); call the one to serve 'model{suffixes[0]}'")

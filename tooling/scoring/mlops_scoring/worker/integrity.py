"""Model files are checked before anything reads them: each is the one that Git names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mlops_scoring.worker.scoring import StartFailed


def verify(directory: str, files: Mapping[str, str]) -> None:
    """Compare the sha256 of every declared file.

    Raises:
        StartFailed: A file is missing or has another content.
    """
    for name, expected in sorted(files.items()):
        path = Path(directory, name)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise StartFailed(f"the model file {name} cannot be read: {error.strerror}") from None
        if found != expected:
            raise StartFailed(f"the model file {name} is not the declared one: sha256 {found}, declared {expected}")

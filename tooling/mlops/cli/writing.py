"""Files that the user asked a command to write."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mlops.errors import Diagnostic, MlopsError


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Say what stands in the way where the block cannot write.

    Args:
        target: What the user named.

    Raises:
        MlopsError: The system refused.
    """
    try:
        yield
    except OSError as error:
        detail = f"{target}: {error.strerror or error}."
        raise MlopsError(Diagnostic("Cannot write", detail, todo="Name another place, or make its folder.")) from error

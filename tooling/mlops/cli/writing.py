"""Files that a command writes for the user, and what stands in the way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mlops.errors import Diagnostic, MlopsError


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Say what stands in the way where the block cannot write.

    Args:
        target: What is written, where the system does not name it.

    Raises:
        MlopsError: The system refused.
    """
    try:
        yield
    except OSError as error:
        detail = f"{error.filename or target}: {error.strerror or error}."
        raise MlopsError(
            Diagnostic("Cannot write", detail, todo="Make room or mend the permissions, or name another place.")
        ) from error

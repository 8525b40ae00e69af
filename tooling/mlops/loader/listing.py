"""Where an environment lists its packages."""

from __future__ import annotations

from mlops.resolve.paths import folder_of, within
from mlops.resolve.repository import Document


def listing(document: Document) -> str | None:
    """Path of the file that lists the packages, relative to the repository."""
    named = document.data.get("requirements", document.data.get("conda_file"))
    return within(folder_of(document.file), named) if isinstance(named, str) else None

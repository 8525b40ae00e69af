"""Paths that documents write, relative to the folder of the file that writes them."""

from __future__ import annotations

import posixpath

_OWN = frozenset({".git", ".mlops"})


def within(folder: str, text: str) -> str | None:
    """The path relative to the repository, or None where it leaves the repository or enters `.git` or `.mlops`.

    Args:
        folder: Folder of the document, relative to the repository.
        text: The path as it is written.
    """
    joined = posixpath.normpath(f"{folder}/{text}")
    first = joined.split("/", 1)[0]
    return None if first in {"..", "."} or first in _OWN or joined.startswith("/") else joined


def folder_of(file: str) -> str:
    """The folder of a file, relative to the repository; "." for the root."""
    return file.rpartition("/")[0] or "."

"""Paths that documents write, relative to the folder of the file that writes them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlops.schemas.problems import Problem

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


def exposed_keys(root: Path, tls: Mapping[str, str]) -> Iterator[Problem]:
    """Files of `tls` that are written as absolute paths into the repository, where Git may take them.

    Args:
        root: The repository.
        tls: The declared certificate and key.
    """
    for name, text in tls.items():
        path = Path(posixpath.normpath(text))
        if path.is_relative_to(root) and not path.is_relative_to(root / ".mlops"):
            detail = f"{text} is in this repository, where one `git add` publishes it."
            yield Problem(("tls", name), "Private file in the repository", detail, "Keep it elsewhere on the machine.")

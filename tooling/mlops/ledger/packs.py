"""Packs that a ledger has made, by name; nothing else in the repository is ever removed."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from mlops.git import GitRepository

PACK_NAME = re.compile(r"^[0-9a-f]{40}([0-9a-f]{24})?$")

_FILES = (".idx", ".rev", ".pack")
"""A pack's files, the index first: without it the pack is not read any more."""


def packs_folder(git: GitRepository, stage: str) -> Path:
    """Where the packs of a stage's ledger are noted."""
    return git.common_directory / "mlops" / "packs" / stage


def note_pack(git: GitRepository, stage: str, name: str) -> None:
    """Note that an append made a pack. Where that cannot be noted, the pack stays, which does no harm."""
    if PACK_NAME.match(name):
        with contextlib.suppress(OSError):
            packs_folder(git, stage).mkdir(parents=True, exist_ok=True)
            (packs_folder(git, stage) / name).touch()


def noted_packs(git: GitRepository, stage: str) -> set[str]:
    """Names of the packs that appends made."""
    try:
        return {path.name for path in packs_folder(git, stage).iterdir() if PACK_NAME.match(path.name)}
    except OSError:
        return set()


def forget_pack(git: GitRepository, stage: str, name: str) -> None:
    """Note no more."""
    with contextlib.suppress(OSError):
        (packs_folder(git, stage) / name).unlink()


def packed_objects(git: GitRepository, name: str) -> set[str]:
    """Ids of all objects in a pack; none where it is gone.

    Raises:
        MlopsError: Its index cannot be read.
    """
    try:
        index = (git.common_directory / "objects" / "pack" / f"pack-{name}.idx").read_bytes()
    except FileNotFoundError:
        return set()
    answer = git.command.must(("show-index", f"--object-format={git.hash_name}"), index)
    return {line.split()[1].decode() for line in answer.output.splitlines()}


def remove_pack(git: GitRepository, name: str) -> None:
    """Remove a pack whose every object is in another one."""
    for suffix in _FILES:
        with contextlib.suppress(FileNotFoundError):
            (git.common_directory / "objects" / "pack" / f"pack-{name}{suffix}").unlink()

"""Fail where `requirements.lock` does not hold what `pyproject.toml` asks for. Needs no network.

Whether a newer release exists is no business of this check; whether an edit of `pyproject.toml` reached the lock is.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

LOCAL = {"mlops-scoring"}
"""Packages of this repository, which no lock holds."""

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)
_ADDRESS = re.compile(r"https?://|--index-url|--extra-index-url|--find-links|--trusted-host")


def pins(lock: str) -> dict[str, set[Version]]:
    """Every version that a lock pins, by name; a universal lock may pin one for each marker."""
    found: dict[str, set[Version]] = {}
    for match in _PIN.finditer(lock):
        found.setdefault(canonicalize_name(match["name"]), set()).add(Version(match["version"]))
    return found


def asked(pyproject: dict[str, Any]) -> Iterator[Requirement]:
    """What the lock has to hold: the base, the extra that a laptop needs, and the tools of development."""
    project = pyproject["project"]
    groups = (project["dependencies"], project["optional-dependencies"]["local"], pyproject["dependency-groups"]["dev"])
    for text in (line for group in groups for line in group):
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) not in LOCAL:
            yield requirement


def problems(pyproject: dict[str, Any], lock: str) -> Iterator[str]:
    """What the lock lacks, has in a wrong version, or must not say."""
    pinned = pins(lock)
    for requirement in asked(pyproject):
        versions = pinned.get(canonicalize_name(requirement.name), set())
        if not versions:
            yield f"requirements.lock lacks {requirement}"
        yield from (
            f"requirements.lock pins {requirement.name} {version}, but pyproject.toml asks for {requirement}"
            for version in sorted(versions)
            if not requirement.specifier.contains(version, prereleases=True)
        )
    if _ADDRESS.search(lock):
        yield "requirements.lock names an index; resolve it with --no-emit-index-url"


def main() -> int:
    """Print every problem, and how to mend them; 1 where there is one."""
    pyproject = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    found = list(problems(pyproject, Path("requirements.lock").read_text(encoding="utf-8")))
    sys.stderr.write("".join(f"error: {line}\n" for line in found))
    if found:
        sys.stderr.write("\n      make lock\n\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

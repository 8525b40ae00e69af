"""Conda environment files: what of them pip can install, and what it cannot.

Only what surely means the same is taken over: the `pip` section, and `python=3.11`. Conda packages are not translated
to pip packages by their names, because the names and the builds behind them differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlops.errors import Diagnostic, InvalidRepository, Location
from mlops.lockfile import read_requirements

_PYTHON = re.compile(r"python\s*={1,2}\s*(3\.\d{1,2})(?:\.(?:\d+|\*))?")
_PIP = re.compile(r"pip(?:\s*[=<>!~].*)?")
_KEYS = frozenset({"name", "channels", "dependencies"})


@dataclass(frozen=True, slots=True)
class CondaInput:
    """A Conda file in pip's terms.

    Attributes:
        requirements: The pip section, normalised and sorted.
        python: "3.11", where the file names a minor version.
        unmet: Dependencies that only Conda can install, as written.
    """

    requirements: tuple[str, ...]
    python: str | None
    unmet: tuple[str, ...]


def read_conda(document: object, where: Location | None = None) -> CondaInput:
    """Read a Conda environment file, already parsed.

    `name` and `channels` say where Conda looks for packages; they mean nothing to pip and are not taken over.

    Args:
        document: The parsed file, or the inline mapping.
        where: The file, for errors.

    Raises:
        InvalidRepository: It is not a Conda environment file, or its pip section cannot be used.
    """
    if not isinstance(document, Mapping) or not _is_list(document.get("dependencies", [])):
        raise InvalidRepository(
            Diagnostic(
                "Not a Conda environment file",
                "It is not a mapping with a list of dependencies.",
                where,
                "Write dependencies: as a list of packages, with pip: as one of its items.",
            )
        )
    problems = [_unknown_key(str(key), where) for key in document if key not in _KEYS]
    pip: list[str] = []
    packages: list[str] = []
    for item in document.get("dependencies", []):
        match item:
            case str():
                packages.append(item.strip())
            case {"pip": section} if len(item) == 1 and _is_list(section) and all(isinstance(i, str) for i in section):
                pip.extend(section)
            case _:
                problems.append(_odd_item(item, where))
    if problems:
        raise InvalidRepository(*problems)
    pythons = [matched[1] for package in packages if (matched := _PYTHON.fullmatch(package))]
    unmet = [package for package in packages if not _PYTHON.fullmatch(package) and not _PIP.fullmatch(package)]
    if len(set(pythons)) > 1:
        unmet = [package for package in packages if not _PIP.fullmatch(package)]
    return CondaInput(read_requirements("\n".join(pip), where), pythons[0] if pythons else None, tuple(unmet))


def unmet_packages(unmet: Sequence[str], where: Location | None = None) -> Diagnostic:
    """The problem of dependencies that cannot be installed without Conda, and the ways out."""
    return Diagnostic(
        "Conda packages cannot be installed here",
        f"{', '.join(unmet)}: a lock, and the virtual environments of local, hold pip packages only.",
        where,
        "Move each package that exists on a Python package index to the pip section or to requirements. For others, "
        "build an image with Conda in it (micromamba does it without an installation of Conda), declare it as image, "
        "and serve it on a compute that runs images, such as Docker.",
    )


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _unknown_key(key: str, where: Location | None) -> Diagnostic:
    todo = "Remove it."
    if key == "variables":
        todo = "Move them to environment_variables of the environment."
    return Diagnostic("Unknown field", f'"{key}" in a Conda file is not taken over.', where, todo)


def _odd_item(item: object, where: Location | None) -> Diagnostic:
    return Diagnostic(
        "Not a Conda dependency", f"{item!r} is neither a package nor one pip section.", where, "Write name=version."
    )

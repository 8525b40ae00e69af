"""Requirements and lock files as text: what they mean, and whether a lock was made from what is declared.

A lock is one universal resolution with hashes, in pip's format. Its first lines are comments, one of which holds the
sha256 of the canonical input; no index address or host name is in it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlops.errors import Diagnostic, InvalidRepository, Location

MINIMUM_PYTHON = "3.11"
"""What a lock is resolved for where the environment names no Python: the oldest that the scoring server runs on."""

PLATFORMS = {
    "linux-x86_64": "x86_64-unknown-linux-gnu",
    "linux-aarch64": "aarch64-unknown-linux-gnu",
    "macos-x86_64": "x86_64-apple-darwin",
    "macos-arm64": "aarch64-apple-darwin",
    "windows-x86_64": "x86_64-pc-windows-msvc",
}
"""Platforms that an environment may declare, and uv's names for them."""

_FORMAT = 1
_INPUT = "# input-sha256: "
_HEADER_LINES = 8

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_REQUIREMENT = re.compile(
    rf"(?P<name>{_NAME})\s*(?:\[(?P<extras>[^\]]*)\])?\s*(?P<rest>@\s*\S+|\(?[^;@()]*\)?)\s*(?:;\s*(?P<marker>.+))?"
)
_SPECIFIER = re.compile(r"(?:~=|===?|!=|<=?|>=?)\s*[A-Za-z0-9.*+!_-]+")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_EXTRA_MARKER = re.compile(r"""\s*(?:\band\b\s*)?\bextra\s*==\s*["'](?P<extra>[^"']+)["']\s*$""")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_PYTHON = re.compile(r"3\.\d{1,2}")


@dataclass(frozen=True, slots=True)
class LockInput:
    """All that a lock depends on.

    Attributes:
        requirements: Normalised requirements of the user.
        python: "3.11", or None: any that the scoring server runs on.
        platforms: Keys of `PLATFORMS`; empty: not checked for any but resolved for all.
        server: Normalised requirements of the scoring server's worker; its own version is no part of the lock.
    """

    requirements: tuple[str, ...]
    python: str | None
    platforms: tuple[str, ...]
    server: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Digest of the canonical input."""
        document = {
            "format": _FORMAT,
            "python": self.python,
            "platforms": sorted(set(self.platforms)),
            "requirements": sorted(set(self.requirements)),
            "server": sorted(set(self.server)),
        }
        return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_requirements(text: str, where: Location | None = None) -> tuple[str, ...]:
    """The requirements of a pip requirements file, normalised and sorted, each once.

    Comments, blank lines and continued lines mean what they mean to pip. Options, editable installs and paths are
    refused, because nothing could reproduce them from Git.

    Args:
        text: The file's content, or lines joined by newlines.
        where: The file, and the line at which the text begins, for errors.

    Raises:
        InvalidRepository: With a problem for each line that cannot be used.
    """
    found: set[str] = set()
    problems: list[Diagnostic] = []
    for number, line in _logical_lines(text):
        requirement = normalise_requirement(line)
        if requirement is None:
            place = Location(where.file, max(where.line, 1) + number - 1) if where else None
            problems.append(_refused(line, place))
        else:
            found.add(requirement)
    if problems:
        raise InvalidRepository(*problems)
    return tuple(sorted(found))


def normalise_requirement(line: str) -> str | None:
    """One requirement in one spelling (names as PEP 503 says, specifiers sorted); None where it is none (PEP 508)."""
    matched = _REQUIREMENT.fullmatch(line.strip())
    if matched is None:
        return None
    rest = _normal_rest(matched["rest"].strip())
    if rest is None:
        return None
    extras = sorted({_normal_name(extra) for extra in (matched["extras"] or "").split(",") if extra.strip()})
    marker = " ".join((matched["marker"] or "").replace("'", '"').split())
    name = _normal_name(matched["name"]) + (f"[{','.join(extras)}]" if extras else "")
    return f"{name}{rest}" + (f" ; {marker}" if marker else "")


def server_requirements() -> tuple[str, ...]:
    """What the scoring server's worker needs beside the user's packages, from the installed package's metadata."""
    return extra_requirements("worker")


def extra_requirements(extra: str) -> tuple[str, ...]:
    """The normalised requirements of one extra of the scoring server."""
    from importlib.metadata import requires  # noqa: PLC0415 - 15 ms that a warm plan does not need

    found: set[str] = set()
    for text in requires("mlops-scoring") or ():
        head, _, marker = text.partition(";")
        matched = _EXTRA_MARKER.search(marker)
        if matched is None or matched["extra"] != extra:
            continue
        left = marker[: matched.start()].strip()
        if left.startswith("(") and left.endswith(")"):
            left = left[1:-1]
        requirement = normalise_requirement(f"{head};{left}" if left else head)
        if requirement is not None:
            found.add(requirement)
    return tuple(sorted(found))


def lock_header(reference: str, source: LockInput) -> str:
    """The comment lines with which a lock begins."""
    return (
        f"# Made by: mlops environment lock {reference}\n"
        "# Do not edit; edit the requirements and make it again.\n"
        f"{_INPUT}{source.sha256}\n"
    )


def recorded_input(lock: str) -> str | None:
    """The sha256 of the input that a lock says it was made from; None where it says nothing."""
    for line in lock.splitlines()[:_HEADER_LINES]:
        if line.startswith(_INPUT):
            return line.removeprefix(_INPUT).strip()
    return None


def lock_is_current(lock: str, source: LockInput) -> bool:
    """Whether a lock was made from exactly this input."""
    return recorded_input(lock) == source.sha256


def stray_line(lock: str) -> tuple[int, str] | None:
    """The first line of a lock that no lock has, with its number: an option, or a package without hashes.

    An index or a package that somebody slipped in would be installed like any other.
    """
    for number, line in _logical_lines(lock):
        requirement, *hashes = line.split("--hash=")
        known = normalise_requirement(requirement) is not None
        if not known or not hashes or not all(_HASH.fullmatch(found.strip()) for found in hashes):
            return number, line
    return None


def check_python(version: str) -> bool:
    """Whether a text is a minor version of Python 3, as environments name it."""
    return _PYTHON.fullmatch(version) is not None


def _logical_lines(text: str) -> Iterable[tuple[int, str]]:
    """Lines without comments, continuations joined, each with the number of its first physical line (pip's rules)."""
    pending: list[str] = []
    start = 0
    for number, physical in enumerate(text.splitlines(), 1):
        start = start if pending else number
        line = _COMMENT.sub("", physical)
        if line.endswith("\\") and line == physical:
            pending.append(line[:-1])
            continue
        joined = "".join((*pending, line)).strip()
        pending = []
        if joined:
            yield start, joined
    if joined := "".join(pending).strip():
        yield start, joined


def _normal_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _normal_rest(rest: str) -> str | None:
    """The version part: sorted specifiers, or a direct reference; None where it is neither."""
    if rest.startswith("@"):
        address = rest[1:].strip()
        return f" @ {address}" if "://" in address and not address.startswith("file:") else None
    text = rest.removeprefix("(").removesuffix(")").strip()
    specifiers = [part.strip() for part in text.split(",")] if text else []
    if not all(_SPECIFIER.fullmatch(specifier) for specifier in specifiers):
        return None
    return ",".join(sorted("".join(specifier.split()) for specifier in specifiers))


_ADVICE: Sequence[tuple[str, str]] = (
    ("-r", "Write the requirements of that file here."),
    ("--requirement", "Write the requirements of that file here."),
    ("-c", "Write the constraint as a requirement."),
    ("--constraint", "Write the constraint as a requirement."),
    ("-e", "Publish the package, or put its modules into the code directory of the deployment."),
    ("--editable", "Publish the package, or put its modules into the code directory of the deployment."),
    ("-", "Give indexes and other options to uv by its environment variables, such as UV_DEFAULT_INDEX."),
    (".", "Publish the package, or put its modules into the code directory of the deployment."),
    ("/", "Publish the package, or put its modules into the code directory of the deployment."),
)


def _refused(line: str, where: Location | None) -> Diagnostic:
    todo = next((advice for start, advice in _ADVICE if line.startswith(start)), "Write it as name==version.")
    return Diagnostic("Not a requirement", f'"{line}" cannot be used.', where, todo)

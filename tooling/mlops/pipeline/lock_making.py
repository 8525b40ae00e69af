"""Making a lock: one universal resolution with hashes, checked for every declared platform."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mlops.errors import Diagnostic, MlopsError, TargetError
from mlops.lockfile import MINIMUM_PYTHON, PLATFORMS, LockInput, lock_header
from mlops.uv import python_for, run_uv

_COMPILE = (
    *("pip", "compile", "-", "--universal", "--generate-hashes", "--no-annotate", "--no-header"),
    *("--no-emit-index-url", "--no-emit-find-links", "--no-sources"),
)
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)", re.MULTILINE)

_MACOS = "14.0"
"""The oldest macOS that a lock is checked for, unless MACOSX_DEPLOYMENT_TARGET says another."""


def make_lock(reference: str, source: LockInput, previous: str = "", *, upgrade: bool = False) -> str:
    """Resolve an environment's requirements together with the scoring server's.

    Args:
        reference: `name:version`, for the header and for errors.
        source: What is locked.
        previous: The lock so far; its versions are kept where they still fit.
        upgrade: Take the newest versions instead.

    Returns:
        The lock's text.

    Raises:
        TargetError: There is no resolution, or not for one of the platforms; with a problem for each platform.
    """
    with tempfile.TemporaryDirectory(prefix="mlops-lock-") as folder:
        path = Path(folder) / "lock.txt"
        if previous and not upgrade:
            path.write_text(previous, encoding="utf-8")
        python = source.python or MINIMUM_PYTHON
        text = "\n".join((*source.requirements, *source.server)) + "\n"
        what = f"locking {reference}"
        run_uv([*_COMPILE, "--python-version", python, "--output-file", str(path)], what=what, text=text)
        body = path.read_text(encoding="utf-8")
        problems = [problem for name in source.platforms for problem in _check(reference, name, python, path)]
        if problems:
            raise TargetError(*problems)
    return lock_header(reference, source) + "\n".join(_without_comments(body)) + "\n"


def packages(lock: str) -> tuple[str, ...]:
    """What a lock pins: "numpy 2.4.6", once for each version."""
    return tuple(f"{name} {version}" for name, version in _PIN.findall(lock))


def _without_comments(body: str) -> Iterator[str]:
    return (line for line in body.splitlines() if line and not line.startswith("#"))


def _check(reference: str, platform: str, python: str, lock: Path) -> Iterator[Diagnostic]:
    """The problem of installing the lock on a platform, if there is one; nothing is installed."""
    command = ["pip", "install", "--dry-run", "--require-hashes", "--target", str(lock.parent / "nowhere")]
    command += ["--python-platform", PLATFORMS[platform], "--python-version", python]
    command += ["--python", python_for(None), "--requirements", str(lock)]
    variables = {"MACOSX_DEPLOYMENT_TARGET": os.environ.get("MACOSX_DEPLOYMENT_TARGET", _MACOS)}
    try:
        run_uv(command, what=f"checking {reference} for {platform}", variables=variables)
    except MlopsError as error:
        for problem in error.diagnostics:
            yield Diagnostic(
                "Lock does not fit a platform",
                f"{reference} cannot be installed on {platform}. {problem.detail}",
                todo="Choose versions that exist for this platform, or take it out of the environment's platforms.",
            )

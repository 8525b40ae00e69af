"""Virtual environments, made with uv from locks with hashes, shared by the digest of all that goes in.

A virtual environment cannot be moved, so it is made in its place; a marker that is written last says that it is whole.
What a killed build left is taken away by the next one. uv inherits the lock, so that one which outlived its caller is
waited for instead of written over.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from mlops.drivers.local.folders import Folders, exclusive, make_once, write_durably
from mlops.drivers.local.wheel import Wheel, scoring_wheel
from mlops.lockfile import check_python
from mlops.resource import digest
from mlops.uv import platform_name, python_for, run_uv

GATEWAY_LOCK = Path(__file__).with_name("gateway.lock")
"""What supervisors and gateways run on, locked with the toolkit itself."""

_MARKER = ".complete"


@dataclass(frozen=True, slots=True)
class Environment:
    """What goes into a virtual environment beside the scoring server.

    Attributes:
        title: Whose it is, for messages.
        lock: The lock file.
        sha256: Digest of the lock file.
        python: "3.11"; None: that of this process.
    """

    title: str
    lock: Path
    sha256: str
    python: str | None


def ensure_environment(folders: Folders, environment: Environment, prefix: str = "") -> Path:
    """The interpreter of the virtual environment, which is made unless it is there.

    Raises:
        TargetError: uv is not there, or fails.
    """
    wheel = scoring_wheel()
    home = folders.environments / (prefix + _key(environment, wheel))
    if _is_whole(home):
        return _python(home)
    with exclusive(home.with_name(f".{home.name}.lock")) as descriptor:
        if not _is_whole(home):
            _build(home, environment, _wheel_file(folders, wheel), descriptor)
    return _python(home)


def ensure_supervisor(folders: Folders) -> Path:
    """The interpreter of the virtual environment in which supervisors run.

    Raises:
        TargetError: uv is not there, or fails.
    """
    sha256 = hashlib.sha256(GATEWAY_LOCK.read_bytes()).hexdigest()
    return ensure_environment(folders, Environment("the supervisor", GATEWAY_LOCK, sha256, None), "supervisor-")


def _key(environment: Environment, wheel: Wheel) -> str:
    python = environment.python or f"{sys.version_info[0]}.{sys.version_info[1]}"
    parts = {
        "lock": environment.sha256,
        "python": python,
        "platform": platform_name(),
        "scoring": wheel.sha256,
    }
    return digest(parts)[:32]


def _python(home: Path) -> Path:
    return home / "bin" / "python"


def _is_whole(home: Path) -> bool:
    return (home / _MARKER).is_file() and _python(home).exists()


def _wheel_file(folders: Folders, wheel: Wheel) -> Path:
    """The scoring server's wheel as a file; installers insist on its name, so its digest names the folder."""

    def fill(part: Path) -> None:
        (part / wheel.name).write_bytes(wheel.content)

    home = folders.environments / f"wheel-{wheel.sha256[:32]}"
    make_once(home, fill)
    return home / wheel.name


def _build(home: Path, environment: Environment, wheel: Path, descriptor: int) -> None:
    shutil.rmtree(home, ignore_errors=True)
    python = _python(home)
    what = f"making the virtual environment of {environment.title}"
    keep_open = (descriptor,)
    if environment.python is not None and not check_python(environment.python):
        message = f"not a minor version of Python: {environment.python}"
        raise ValueError(message)
    interpreter = python_for(environment.python)
    try:
        run_uv(["venv", "--no-project", "--python", interpreter, str(home)], what=what, keep_open=keep_open)
        target = ["--python", str(python)]
        sync = ["pip", "sync", "--require-hashes", "--allow-empty-requirements"]
        run_uv([*sync, *target, str(environment.lock)], what=what, keep_open=keep_open)
        run_uv(["pip", "install", "--no-deps", "--offline", *target, str(wheel)], what=what, keep_open=keep_open)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    os.sync()
    write_durably(home / _MARKER, b"")

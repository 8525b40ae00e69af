"""A virtual environment for one lock, made once a machine and kept in the user's cache.

Peers in a benchmark, training and the tests of models each have requirements of their own that would drag those of the
toolkit back. Prints the path of the environment's Python:

    $(.venv/bin/python tooling/locked_environment.py training/requirements.lock) training/digits.py sample
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import uv


def cache_folder() -> Path:
    """Where such environments are kept."""
    chosen = os.environ.get("MLOPS_TEST_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlops-tests"


def locked_environment(lock: Path) -> Path:
    """The Python of an environment that holds exactly what a lock says.

    Args:
        lock: A requirements file with hashes.

    Returns:
        Path of the interpreter; the same lock and Python give the same path.

    Raises:
        subprocess.CalledProcessError: A package could not be installed; uv has said why.
    """
    name = hashlib.sha256(f"{sys.version}\n{lock.read_text(encoding='utf-8')}".encode()).hexdigest()[:16]
    folder = cache_folder() / f"{lock.parent.name}-{lock.stem}-{name}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin/python"
    with folder.with_suffix(".busy").open("wb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        if not (folder / "complete").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            _install(lock, folder)
            (folder / "complete").touch()
    return python


def _install(lock: Path, folder: Path) -> None:
    """Make the environment in place: environments cannot be moved."""
    program = uv.find_uv_bin()
    subprocess.run([program, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    subprocess.run(
        [program, "pip", "sync", "-q", "--require-hashes", "--compile-bytecode", str(lock)],
        env=os.environ | {"VIRTUAL_ENV": str(folder)},
        check=True,
    )


if __name__ == "__main__":
    sys.stdout.write(f"{locked_environment(Path(sys.argv[1]))}\n")

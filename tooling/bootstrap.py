"""Make the virtual environment `.venv` that everything else runs in.

Needs Python 3.11 or later and nothing but its standard library. Runs again only when the lock, a `pyproject.toml` or
the interpreter changed. Indexes, proxies and certificates are the user's: uv and pip read them from the environment and
from their own configuration files.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
INPUTS = (LOCK, ROOT / "pyproject.toml", ROOT / "tooling/scoring/pyproject.toml")
OLDEST = (3, 11)

NO_PIP = """error: Python cannot make virtual environments
  {python} has neither ensurepip nor pip, and uv is not on PATH.
  Install one of them:

      sudo apt-get install python3-venv      # Debian, Ubuntu
      pipx install uv                        # anywhere else

"""
NO_PACKAGES = """error: packages could not be installed
  The lines above say why. uv reads its index, proxy and certificates from UV_DEFAULT_INDEX, HTTPS_PROXY and
  SSL_CERT_FILE (or uv.toml); it does not read pip.conf.

      make setup      # tries again

"""


def _wanted(python: str) -> str:
    """What `.venv` has to be made from, as one digest."""
    content = hashlib.sha256(f"{ROOT} {python}".encode())
    for path in INPUTS:
        content.update(path.read_bytes())
    return content.hexdigest()


def _locked_uv() -> str:
    """The lines of the lock that pin uv, with their hashes."""
    match = re.search(r"^uv==.*\n(?:[ \t]+.*\n)*", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        sys.exit(f"error: {LOCK.name} does not pin uv\n\n      make lock\n")
    return match.group()


def _bootstrap_uv(venv: Path) -> list[str]:
    """Make an empty `.venv` and return a command that is uv: the user's own, or the locked one put into `.venv`."""
    elsewhere = [folder for folder in os.get_exec_path() if Path(folder).resolve() != (venv / "bin").resolve()]
    own = shutil.which("uv", path=os.pathsep.join(elsewhere))
    if own is not None and subprocess.run([own, "--version"], capture_output=True, check=False).returncode == 0:
        subprocess.run([own, "venv", "-q", "--clear", "--python", sys.executable, str(venv)], check=True)
        return [own]
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], capture_output=True, check=False)
    if made.returncode != 0:
        shutil.rmtree(venv, ignore_errors=True)
        sys.exit(NO_PIP.format(python=sys.executable))
    pinned = venv / "uv.lock.txt"
    pinned.write_text(_locked_uv(), encoding="utf-8")
    pip = [str(venv / "bin/python"), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(pinned)]
    subprocess.run(pip, check=True)
    pinned.unlink()
    return [str(venv / "bin/uv")]


def _install(venv: Path) -> None:
    """Put exactly what the lock says, and the two packages of this repository, into `.venv`."""
    usable = venv / "bin/uv"
    same = (venv / "bin/python").exists() and usable.exists() and (venv / "made-by").is_file()
    if same and (venv / "made-by").read_text(encoding="utf-8") == _interpreter():
        uv = [str(usable)]
    else:
        uv = _bootstrap_uv(venv)
        (venv / "made-by").write_text(_interpreter(), encoding="utf-8")
    environ = os.environ | {"VIRTUAL_ENV": str(venv)}
    packages = ["-e", str(ROOT / "tooling/scoring"), "-e", str(ROOT)]
    for command in (
        ["pip", "sync", "-q", "--require-hashes", str(LOCK)],
        ["pip", "install", "-q", "--no-deps", "--no-build-isolation", *packages],
    ):
        subprocess.run([*uv, *command], cwd=ROOT, env=environ, check=True)


def _interpreter() -> str:
    """Which Python the environment is made for."""
    return f"{Path(sys.executable).resolve()} {sys.version}"


@contextmanager
def _alone() -> Iterator[None]:
    """Two runs at once take turns."""
    with LOCK.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Set up, unless that is done."""
    if sys.version_info < OLDEST:
        sys.exit(f"error: Python {OLDEST[0]}.{OLDEST[1]} or later is needed, this is {sys.version.split()[0]}\n")
    venv = ROOT / ".venv"
    stamp = venv / "ready"
    with _alone():
        wanted = _wanted(_interpreter())
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
            return
        sys.stderr.write("Setting up .venv from requirements.lock ...\n")
        try:
            _install(venv)
        except subprocess.CalledProcessError:
            sys.exit(NO_PACKAGES)
        stamp.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()

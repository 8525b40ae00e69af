"""Disks with little room and folders that cannot be written, as real as this machine permits."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.laptop import Laptop

SIZE = 256 << 20

_BOUND = """import ctypes, os, sys
if os.geteuid() == 0 and ctypes.CDLL(None).prctl(24, 1, 0, 0, 0):  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE (prctl(2))
    sys.exit("cannot give up a capability")
os.execv(sys.argv[1], sys.argv[1:])
"""
_LIMITED = """import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""


def _mount(*arguments: str) -> bool:
    """Mount, where this machine permits it to this user."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@dataclass(frozen=True)
class Disk:
    """A disk of its own, or where none may be mounted, files that may not grow beyond a limit.

    Attributes:
        folder: Where it is.
        mounted: Whether it is one.
    """

    folder: Path
    mounted: bool

    @contextmanager
    def room(self, laptop: Laptop, size: int) -> Iterator[None]:
        """Leave so many bytes of room to whatever the laptop starts while the block runs."""
        if not self.mounted:
            laptop.prefix = (sys.executable, "-c", _LIMITED, str(size))
            yield
            laptop.prefix = ()
            return
        ballast = self.folder / "ballast"
        with ballast.open("wb") as stream:
            free = os.statvfs(self.folder)
            os.posix_fallocate(stream.fileno(), 0, max(free.f_bavail * free.f_frsize - size, 1))
        try:
            yield
        finally:
            ballast.unlink()


@contextmanager
def read_only(laptop: Laptop, *, mount: bool) -> Iterator[None]:
    """Let nothing below the laptop's root be written while the block runs.

    Args:
        laptop: Whose root.
        mount: By a mount, where this machine permits one; by permissions otherwise.
    """
    root = str(laptop.root)
    if not mount or not _mount("--bind", root, root):
        with _forbidden(laptop):
            yield
        return
    try:
        assert _mount("-o", "remount,bind,ro", root)
        yield
    finally:
        _unmount(laptop.root)


@contextmanager
def _forbidden(laptop: Laptop) -> Iterator[None]:
    """Take away the permission to write; the superuser gives up the capability that makes permissions void."""
    paths = [path for path in (laptop.root, *laptop.root.rglob("*")) if not path.is_symlink() and not path.is_socket()]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    laptop.prefix = (sys.executable, "-c", _BOUND)
    try:
        yield
    finally:
        laptop.prefix = ()
        for path, mode in modes.items():
            path.chmod(mode)


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """A disk of 256 MiB."""
    folder.mkdir()
    mounted = _mount("-t", "tmpfs", "-o", f"size={SIZE}", "none", str(folder))
    try:
        yield Disk(folder, mounted)
    finally:
        if mounted:
            _unmount(folder)

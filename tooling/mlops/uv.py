"""Running uv, which resolves, locks and installs Python packages.

The user's own settings for indexes, proxies and certificates reach it through its environment variables and its
configuration in the home folder; nothing of the current folder does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Mapping, Sequence

from mlops.errors import Diagnostic, TargetError

_TAIL = 30

_SYSCONFIG = threading.Lock()
"""Python's sysconfig, which uv's own finder uses too, gives a second thread its variables before they are complete."""


def find_uv() -> str:
    """The uv program: that of the extra `local`, or one on PATH.

    Raises:
        TargetError: There is none.
    """
    with _SYSCONFIG:
        return _find_uv()


def platform_name() -> str:
    """This platform, as Python names it for binary packages: "linux-x86_64"."""
    with _SYSCONFIG:
        return sysconfig.get_platform()


def _find_uv() -> str:
    try:
        from uv import find_uv_bin  # noqa: PLC0415 - an extra that need not be installed
    except ModuleNotFoundError:
        pass
    else:
        try:
            return find_uv_bin()
        except FileNotFoundError:
            pass
    import shutil  # noqa: PLC0415 - only where the extra is absent

    found = shutil.which("uv")
    if found is None:
        raise TargetError(
            Diagnostic(
                "uv is not installed",
                "Locks and virtual environments are made with uv, and it is neither in this Python nor on PATH.",
                todo="Install it.",
                command="pip install 'mlops-gitops[local]'",
            )
        )
    return found


def run_uv(
    arguments: Sequence[str],
    *,
    what: str,
    variables: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
    text: str | None = None,
) -> None:
    """Run uv; it says nothing but what is wrong.

    Args:
        arguments: The command and its options; paths must be absolute.
        what: What is being done, for the error: "installing the packages of onnx:1".
        variables: Environment variables to set beside the user's.
        keep_open: File descriptors that it inherits, such as a lock that has to be held as long as it runs.
        text: Its standard input.

    Raises:
        TargetError: It failed; with the end of what it wrote.
    """
    with tempfile.TemporaryDirectory(prefix="mlops-uv-") as empty:
        try:
            ran = subprocess.run(
                [find_uv(), "--quiet", "--no-progress", "--color", "never", *arguments],
                cwd=empty,
                env=_environment(variables or {}),
                input=text if text is not None else "",
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                pass_fds=tuple(keep_open),
                check=False,
            )
        except OSError as error:
            raise TargetError(Diagnostic("uv cannot be started", f"{what}: {error}.")) from error
    if ran.returncode:
        raise TargetError(_failure(what, ran))


def python_for(version: str | None) -> str:
    """Which interpreter to ask uv for: this one where it is of that version, else whatever uv finds or fetches."""
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if version is None or version == own:
        return str(getattr(sys, "_base_executable", sys.executable))
    return version


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "CONDA_PREFIX"}}
    return kept | dict(variables)


def _failure(what: str, ran: subprocess.CompletedProcess[str]) -> Diagnostic:
    lines = [line for line in ran.stderr.splitlines() if line.strip()] or [f"it ended with {ran.returncode}"]
    return Diagnostic(
        "uv failed",
        f"While {what}:\n" + "\n".join(lines[-_TAIL:]),
        todo="Read what uv says above. Behind a company's proxy or index, set uv's environment variables "
        "(UV_DEFAULT_INDEX, UV_SYSTEM_CERTS, HTTPS_PROXY).",
    )

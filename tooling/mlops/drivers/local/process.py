"""The supervisor of an endpoint as a process: whether it lives, starting it, ending it.

It outlives the command that starts it. From its first moment it holds a lock in the endpoint's folder, handed to it by
whoever starts it; so there are never two, whoever is killed when, and a restart of the machine frees it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from mlops.drivers.local import admin
from mlops.drivers.local.folders import try_exclusive, write_durably
from mlops.drivers.local.home import Home
from mlops.drivers.local.ports import is_free, port_is_taken
from mlops.errors import Diagnostic, TargetError
from mlops.resource import JSON, canonical

START = 30.0
"""Seconds that a supervisor may take until it answers; it answers before its workers are ready."""

DRAIN = 60.0
"""Seconds that a supervisor may take to end after it was asked to."""

_PORT_TAKEN = 4
"""Exit code of a supervisor that could not bind its port."""

_LAST_WORDS = 5.0
"""Seconds from a signal to the next, harder one."""

_RELEASE = 1.0
"""Seconds that the port of a killed supervisor may still be bound when its lock is free: one file is closed after the
other, and not before its last thread has ended."""

_PAUSE = 0.01

_KEPT = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE"),
        *("LD_LIBRARY_PATH", "XDG_RUNTIME_DIR"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    }
)
_KEPT_PREFIXES = ("LC_", "OMP_", "MKL_", "OPENBLAS_", "CUDA_", "NVIDIA_", "MLOPS_", "OTEL_", "APPLICATIONINSIGHTS_")


def is_alive(home: Home) -> bool:
    """Whether a supervisor of the endpoint lives, in whatever state."""
    claim = try_exclusive(home.claim)
    if claim is None:
        return True
    os.close(claim)
    return False


def start(home: Home, document: Mapping[str, JSON], python: Path) -> bool:
    """Start a supervisor with a configuration, and wait until it answers.

    Args:
        home: The endpoint's folder.
        document: The whole configuration.
        python: The interpreter of the supervisors' virtual environment.

    Returns:
        False where one lives already; nothing is done then.

    Raises:
        TargetError: Somebody else has the port, or the supervisor did not start.
    """
    claim = try_exclusive(home.claim)
    if claim is None:
        return False
    try:
        if not _is_free_soon(home.port):
            raise port_is_taken(home.port, home.folder)
        home.logs.mkdir(exist_ok=True)
        home.failure.unlink(missing_ok=True)
        home.admin.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(home.admin.parent)
        write_durably(home.configuration, canonical(document))
        process = _spawn(home, python, claim)
    finally:
        os.close(claim)
    try:
        await_answer(home, process)
    finally:
        threading.Thread(target=process.wait, name=f"reap {process.pid}", daemon=True).start()
    return True


def stop(home: Home) -> None:
    """End the supervisor after the requests under way, or at once where it does not answer; success where none lives.

    Raises:
        TargetError: It lives on.
    """
    if not is_alive(home):
        return
    if admin.is_answering(home):
        with contextlib.suppress(OSError):
            admin.shut_down(home, DRAIN)
        if _ended_within(home, DRAIN):
            return
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(home, number)
        if _ended_within(home, _LAST_WORDS):
            return
    raise TargetError(
        Diagnostic(
            "Supervisor does not end",
            f"The supervisor of {home.name} (pid {pid_of(home) or 'unknown'}) goes on after it was asked to end.",
            todo="End the process by hand, and apply again.",
        )
    )


def pid_of(home: Home) -> int | None:
    """The supervisor's process, as it said itself; None where it is another process by now."""
    found = _process_of(home)
    return found[0] if found is not None else None


def python_of(home: Home) -> Path | None:
    """The interpreter that the supervisor runs on, which tells the version of the scoring server."""
    found = _process_of(home)
    return Path(os.fsdecode(found[1])) if found is not None else None


def variables_of(home: Home) -> Mapping[str, str] | None:
    """The environment variables with which the supervisor was started; None where the system does not tell."""
    pid = pid_of(home)
    if pid is None:
        return None
    try:
        found = Path("/proc", str(pid), "environ").read_bytes()
    except OSError:
        return None
    pairs = (os.fsdecode(entry).partition("=") for entry in found.split(b"\0") if entry)
    return {name: value for name, _, value in pairs}


def _process_of(home: Home) -> tuple[int, bytes] | None:
    try:
        said = json.loads(home.process.read_bytes())
        pid = int(said["pid"])
        command = Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (pid, command[0]) if os.fsencode(home.folder) in command else None


def _spawn(home: Home, python: Path, claim: int) -> subprocess.Popen[bytes]:
    command = [str(python), "-I", "-m", "mlops_scoring.supervisor"]
    command += ["--directory", str(home.folder), "--admin", str(home.admin)]
    with (home.logs / "start.log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            start_new_session=True,
            pass_fds=(claim,),
        )


def _check_private(folder: Path) -> None:
    """Refuse a folder for sockets that somebody else made, as anybody can in a shared folder for temporary files."""
    if folder.stat().st_uid != os.geteuid():
        raise TargetError(
            Diagnostic("Folder is not yours", f"{folder} belongs to another user.", todo="Remove it, and apply again.")
        )


def _environment() -> dict[str, str]:
    """What workers get of the caller's variables: nothing that Git does not declare can change an answer.

    A client's key is none of theirs, though its variable's name begins as theirs do.
    """
    kept = {key: value for key, value in os.environ.items() if key in _KEPT or key.startswith(_KEPT_PREFIXES)}
    kept.pop("MLOPS_KEY", None)
    return kept


def await_answer(home: Home, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until the supervisor answers.

    Args:
        home: The endpoint's folder.
        process: The supervisor; None where somebody else started it.

    Raises:
        TargetError: It ended, or did not answer in time.
    """
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        code = process.poll() if process is not None else None
        if code is not None:
            raise _not_started(home, code)
        if admin.is_answering(home):
            return
        time.sleep(_PAUSE)
    raise silent(home)


def silent(home: Home) -> TargetError:
    """The error that a supervisor lives but does not answer."""
    pid = pid_of(home)
    return TargetError(
        Diagnostic(
            "Supervisor does not answer",
            f"The supervisor of {home.name} (pid {pid or 'unknown'}) lives but does not answer.",
            todo=f"See whether the machine is overloaded, and look at {home.logs}. If it hangs, end it, and apply.",
            command=f"kill -9 {pid}" if pid else "",
        )
    )


def _not_started(home: Home, code: int) -> TargetError:
    if code == _PORT_TAKEN:
        return port_is_taken(home.port, home.folder)
    try:
        reason = str(json.loads(home.failure.read_bytes())["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        lines = (home.logs / "start.log").read_text(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else "it said nothing"
    return TargetError(
        Diagnostic(
            "Supervisor did not start",
            f"The supervisor of {home.name} ended with {code}: {reason}",
            todo=f"Look at the logs in {home.logs}.",
        )
    )


def _is_free_soon(port: int) -> bool:
    deadline = time.monotonic() + _RELEASE
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _signal(home: Home, number: signal.Signals) -> None:
    pid = pid_of(home)
    if pid is not None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return


def _ended_within(home: Home, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(home):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True

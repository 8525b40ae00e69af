"""The sealed room in which every test runs.

HOME, Git's identity and configuration, locale, time zone and colours are fixed; this process reaches loopback only; a
machine that runs for CI may not skip; nothing that a test started may outlive the run. What a user has set up so that
packages can be fetched (indexes, proxies, certificates, caches) is carried in, because child processes need it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest

ALLOWED_SKIPS: tuple[re.Pattern[str], ...] = ()
"""Reasons for which a run in CI may skip a test. Each names something that no registry offers to a CI machine."""

_CARRIED = {
    "UV_CACHE_DIR": ".cache/uv",
    "UV_CONFIG_FILE": ".config/uv/uv.toml",
    "UV_PYTHON_INSTALL_DIR": ".local/share/uv/python",
    "PIP_CONFIG_FILE": ".config/pip/pip.conf",
    "NETRC": ".netrc",
    "PYENV_ROOT": ".pyenv",
}
"""Where tools look below HOME for what lets them fetch packages: variable to path, carried in where it exists."""

_FOREIGN = re.compile(
    r"^(GIT_(?!SSL|EXEC_PATH).*|EMAIL|LANG(UAGE)?|LC_.*|XDG_.*|MLOPS_.*|CI|GITHUB_.*|TF_BUILD|BUILD_.*|SYSTEM_.*)$"
)
"""Variables by which the machine could colour a result."""

_LOCAL_NAMES = frozenset({"localhost", "ip6-localhost", "", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to

MakeRepository = Callable[[Mapping[str, str | bytes]], Path]


class OutsideNetwork(RuntimeError):
    """A test reached for something beyond this machine."""


def _seal_environment(home: Path) -> None:
    """Give this process, and all that it starts, a HOME and a Git of its own."""
    real = Path.home()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or real / ".cache") / "mlops-tests"
    carried = {name: str(real / path) for name, path in _CARRIED.items() if (real / path).exists()}
    for name in [name for name in os.environ if _FOREIGN.match(name)]:
        del os.environ[name]
    for name, value in carried.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("UV_CACHE_DIR", str(real / ".cache/uv"))
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Test User\n\temail = test@example.com\n"
        "[init]\n\tdefaultBranch = main\n[commit]\n\tgpgSign = false\n[tag]\n\tgpgSign = false\n",
        encoding="utf-8",
    )
    os.environ.update(
        HOME=str(home),
        GIT_CONFIG_GLOBAL=str(home / ".gitconfig"),
        GIT_CONFIG_NOSYSTEM="1",
        GIT_TERMINAL_PROMPT="0",
        LC_ALL="C.UTF-8",
        TZ="UTC",
        NO_COLOR="1",
        COLUMNS="120",
        PYTHONHASHSEED="random",
        MLOPS_TEST_CACHE=str(cache),
        MLOPS_TEST_RUN=home.name,
    )
    time.tzset()
    os.umask(0o022)


def _is_local(host: object) -> bool:
    """Whether a host, as the socket module was given it, is this machine."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is None or host in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


def _watch_network(event: str, args: tuple[object, ...]) -> None:
    """Refuse to look up or to reach another machine (an audit hook: the standard library announces both)."""
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1] and not _is_local(args[1][0]):
        raise OutsideNetwork(f"A test tried to connect to {args[1]!r}. Only loopback is open.")
    if event == "socket.getaddrinfo" and not _is_local(args[0]):
        raise OutsideNetwork(f"A test tried to look up {args[0]!r}. Only loopback is open.")


def _register_profiles(*, in_ci: bool) -> None:
    """Load the Hypothesis profile that HYPOTHESIS_PROFILE names: by default repeatable in CI, random elsewhere."""
    profiles = {
        "dev": hypothesis.settings(max_examples=50),
        "ci": hypothesis.settings(max_examples=100, derandomize=True, database=None, print_blob=True),
        "thorough": hypothesis.settings(max_examples=2000),
    }
    slow = [hypothesis.HealthCheck.too_slow]
    for name, profile in profiles.items():
        hypothesis.settings.register_profile(name, parent=profile, deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if in_ci else "dev"))


class _Room:
    """What pytest tells of the run: forbids skips in CI, and looks for processes that were left behind."""

    def __init__(self, home: Path, *, in_ci: bool) -> None:
        self.home = home
        self.in_ci = in_ci
        self.skips: list[str] = []
        self.leaks: list[str] = []

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed.search(reason) for allowed in ALLOWED_SKIPS):
            self.skips.append(f"{report.nodeid}: {reason}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.leaks = list(_end_leaks(self.home.name))
        if session.exitstatus == pytest.ExitCode.OK and (self.leaks or (self.in_ci and self.skips)):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.in_ci and self.skips:
            terminalreporter.section("skips are forbidden in CI", red=True)
            terminalreporter.write_line("\n".join(self.skips))
        if self.leaks:
            terminalreporter.section("processes were left behind", red=True)
            terminalreporter.write_line("\n".join(self.leaks))

    def pytest_unconfigure(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)


def _end_leaks(run: str) -> Iterator[str]:
    """End every process that carries this run's mark in its environment, and say which they were (Linux only)."""
    mark = f"MLOPS_TEST_RUN={run}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                os.kill(int(entry.name), signal.SIGKILL)
                yield f"{entry.name} {command}"


def pytest_configure(config: pytest.Config) -> None:
    """Seal the room before any test module is imported."""
    # What starts CI in the background makes it deaf to Ctrl-C, and so would be every program that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    in_ci = os.environ.get("CI", "").lower() in {"1", "true"}
    _register_profiles(in_ci=in_ci)
    home = Path(tempfile.mkdtemp(prefix="mlops-home-"))
    _seal_environment(home)
    sys.addaudithook(_watch_network)
    config.pluginmanager.register(_Room(home, in_ci=in_ci), "room")


@pytest.fixture(scope="session")
def test_cache() -> Path:
    """A folder that outlives the run, for what is dear to make again; name entries by the hash of their input."""
    folder = Path(os.environ["MLOPS_TEST_CACHE"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def make_repository(tmp_path: Path) -> MakeRepository:
    """A function that writes files into a new Git repository and commits them; same files, same commit id."""
    made = 0

    def make(files: Mapping[str, str | bytes]) -> Path:
        nonlocal made
        made += 1
        root = tmp_path / f"repository-{made}"
        root.mkdir()
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        dates = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "Begin"]):
            subprocess.run(["git", *command], cwd=root, check=True, env=os.environ | dates)
        return root

    return make

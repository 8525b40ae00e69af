"""What breaks a machine: kills at any moment, strangers on ports, full disks, silence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.drivers.bench import listen, until

from mlops.drivers.local import process
from mlops.drivers.local.home import read_home
from mlops.errors import TargetError
from mlops.resource import HealthState

if TYPE_CHECKING:
    from tests.drivers.bench import Bench

LIMITED = """import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
exec(sys.argv.pop(1))
"""


def serves(bench: Bench, text: str) -> None:
    health = bench.settled()
    assert health.state is HealthState.HEALTHY, health
    assert bench.text() == text


def supervisors(root: Path) -> list[int]:
    """Every supervisor below a root, from the system's list of processes."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"mlops_scoring.supervisor" in command and any(os.fsencode(root) in part for part in command):
            found.append(int(entry.name))
    return found


def test_a_killed_supervisor_is_gone_and_comes_back_at_the_same_port(bench: Bench) -> None:
    outputs = bench.put(bench.resource())
    serves(bench, "one")
    bench.put(bench.resource(text="two"))
    bench.kill_supervisor()
    assert bench.observe() is None
    with pytest.raises(TargetError, match="Nothing answered"):
        bench.text()
    assert bench.put(bench.resource(text="two")) == outputs
    serves(bench, "two")


def test_deleting_what_was_killed_succeeds(bench: Bench) -> None:
    bench.put(bench.resource())
    bench.kill_supervisor()
    bench.driver().delete(bench.resource().address)
    assert read_home(bench.folders, "echo") is None


MOMENTS: dict[str, Callable[[Bench], bool]] = {
    "the endpoint's folder is there": lambda b: (b.folders.endpoints / "echo" / "endpoint.json").exists(),
    "content is taken in": lambda b: any(b.root.glob(".mlops/registry/sha256/*/*")),
    "a virtual environment is begun": lambda b: any(b.folders.environments.glob("[0-9a-f]*/pyvenv.cfg")),
    "packages are installed": lambda b: any(b.folders.environments.glob("*/lib/*/site-packages/*")),
    "code is unpacked": lambda b: any(b.folders.code.glob("*/score.py")),
    "the configuration is written": lambda b: (b.folders.endpoints / "echo" / "configuration.json").exists(),
    "the supervisor runs": lambda b: bool(supervisors(b.root)),
    "the supervisor listens": lambda b: (b.folders.endpoints / "echo" / "admin.sock").exists(),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_command_killed_at_any_moment_is_made_good_by_the_next(fresh_bench: Bench, moment: str) -> None:
    bench = fresh_bench
    with subprocess.Popen(bench.program(bench.resource()), stdout=subprocess.DEVNULL) as caller:
        while caller.poll() is None and not MOMENTS[moment](bench):
            pass
        caller.kill()
    bench.put(bench.resource())
    serves(bench, "one")
    until(lambda: len(supervisors(bench.root)) == 1, "one supervisor")
    assert not list(bench.folders.environments.glob("*/.complete.*"))


def test_two_commands_at_once_make_one_of_everything(fresh_bench: Bench) -> None:
    bench = fresh_bench
    command = bench.program(bench.resource())
    callers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    outputs = {caller.communicate()[0] for caller in callers}
    assert [caller.returncode for caller in callers] == [0, 0, 0]
    assert len(outputs) == 1
    serves(bench, "one")
    until(lambda: len(supervisors(bench.root)) == 1, "one supervisor")
    assert len(list(bench.folders.environments.glob("[0-9a-f]*/.complete"))) == 1


def test_a_stranger_on_the_port_is_named_and_left_alone(bench: Bench) -> None:
    outputs = bench.put(bench.resource())
    bench.kill_supervisor()
    with until(lambda: listen(int(outputs["port"])), "a free port"):
        with pytest.raises(TargetError, match=rf"Port is taken.*pid {os.getpid()}"):
            bench.put(bench.resource())
        assert bench.observe() is None
    bench.put(bench.resource())
    serves(bench, "one")


def test_a_full_disk_leaves_what_serves_and_is_made_good(bench: Bench) -> None:
    """The limit on the size of files stands for the disk: the same error at the same place, for one process only."""
    bench.put(bench.resource())
    serves(bench, "one")
    model = bench.model({"weights.txt": os.urandom(1 << 19).hex().encode()})
    for artifact in model.artifacts:
        bench.blobs.add(bench.root / artifact.source, artifact.sha256)
    resource = bench.with_artifacts(bench.resource(text="two", model=model.spec), model.artifacts)
    program = bench.program(resource)
    limited = [sys.executable, "-c", LIMITED, str(1 << 19), *program[4:]]
    ran = subprocess.run(limited, check=False, capture_output=True, text=True)
    assert "TargetError: Cannot write" in ran.stderr
    assert "File too large" in ran.stderr
    serves(bench, "one")
    assert not list(bench.folders.models.glob("*.part"))
    bench.put(resource)
    serves(bench, "two")


def test_a_supervisor_that_hangs_is_unhealthy_and_not_doubled(bench: Bench) -> None:
    bench.put(bench.resource())
    serves(bench, "one")
    pid = process.pid_of(bench.home("echo"))
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        observed = bench.observe()
        assert observed is not None
        assert observed.health.state is HealthState.UNHEALTHY
        assert observed.spec == bench.resource().spec
        with pytest.raises(TargetError, match=f"Supervisor does not answer.*pid {pid}"):
            bench.put(bench.resource(text="two"))
    finally:
        os.kill(pid, signal.SIGCONT)
    serves(bench, "one")


def test_a_supervisor_that_hangs_can_be_deleted(bench: Bench) -> None:
    bench.put(bench.resource())
    serves(bench, "one")
    pid = process.pid_of(bench.home("echo"))
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    bench.driver().delete(bench.resource().address)
    until(lambda: not supervisors(bench.folders.endpoints), "the end of the supervisor")
    assert bench.observe() is None


def test_a_pid_that_is_somebody_elses_by_now_is_not_touched(bench: Bench) -> None:
    bench.put(bench.resource())
    bench.kill_supervisor()
    home = bench.home("echo")
    with subprocess.Popen(["sleep", "600"]) as stranger:
        home.process.write_text(f'{{"format": 1, "pid": {stranger.pid}}}')
        assert process.pid_of(home) is None
        bench.driver().delete(bench.resource().address)
        assert stranger.poll() is None
        stranger.kill()


def test_virtual_environments_that_were_removed_are_made_again(fresh_bench: Bench) -> None:
    bench = fresh_bench
    bench.put(bench.resource())
    serves(bench, "one")
    bench.folders.environments.rename(bench.root / "away")
    bench.put(bench.resource(text="two"))
    serves(bench, "two")
    bench.kill_supervisor()
    bench.put(bench.resource(text="two"))
    serves(bench, "two")


def test_azure_monitor_without_a_connection_string_is_refused(
    fresh_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor that lives keeps the variables that it was started with, whatever the next command has."""
    bench, variable = fresh_bench, "APPLICATIONINSIGHTS_CONNECTION_STRING"
    monkeypatch.delenv(variable, raising=False)
    sending = bench.resource(app_insights_enabled=True)
    with pytest.raises(TargetError, match=f"{variable} has no value here"):
        bench.put(sending)
    bench.put(bench.resource())
    serves(bench, "one")
    monkeypatch.setenv(variable, "InstrumentationKey=00000000-0000-0000-0000-000000000000")
    with pytest.raises(TargetError, match="keeps the variables that it was started with"):
        bench.put(sending)
    declared = {"AML_APP_INSIGHTS_KEY": "00000000-0000-0000-0000-000000000000"}
    bench.put(bench.resource(app_insights_enabled=True, environment_variables=declared))
    serves(bench, "one")
    bench.driver().delete(sending.address)
    bench.put(sending)
    serves(bench, "one")
    monkeypatch.delenv(variable)
    bench.put(bench.resource(text="two", app_insights_enabled=True))
    serves(bench, "two")


def test_a_source_that_changed_since_the_plan_is_not_served(bench: Bench) -> None:
    resource = bench.resource(text="three")
    for script in bench.root.glob("code/*/score.py"):
        if "'three'" in script.read_text():
            script.write_text("def run(data): return 'something else'\n")
    with pytest.raises(TargetError):
        bench.put(resource)
    assert bench.observe() is None


def test_damaged_files_of_the_toolkit_are_no_endpoint_of_ours(bench: Bench) -> None:
    bench.put(bench.resource())
    bench.kill_supervisor()
    home = bench.home("echo")
    (home.folder / "endpoint.json").write_text("{}")
    (observed,) = bench.driver().observe()
    assert observed.stamp is None
    with pytest.raises(TargetError, match="Folder is not ours"):
        bench.put(bench.resource())

"""Ledgers under real processes: raced, killed, and taken over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from tests.unit.git.room import git, make_repository
from tests.unit.ledger.rig import close_all, make_clones, open_git

from mlops.git import Actor
from mlops.ledger import Intent, Ledger, Origin, Standing
from mlops.resource import Address, Event, Kind

PROGRAM = Path(__file__).with_name("ledger_program.py")
ENDPOINT = Address(Kind.ENDPOINT, "digits@local-dev")
BO = Origin(Actor("Bo", "bo@example.com", "test"))

Start = Callable[[str, Path, str | None], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the program; what still runs at the end is ended."""
    started: list[subprocess.Popen[str]] = []

    def begin(verb: str, folder: Path, remote: str | None) -> subprocess.Popen[str]:
        command = (sys.executable, str(PROGRAM), verb, str(folder), remote or "-")
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def _open(folder: Path, remote: str | None) -> Ledger:
    ledger = Ledger.open(open_git(folder), "dev", project="digits-demo", remote=remote)
    ledger.refresh()
    return ledger


def test_of_two_clones_of_one_remote_one_wins_and_the_other_is_told(tmp_path: Path, start: Start) -> None:
    _, clones = make_clones(tmp_path, 2)
    for _round in range(4):
        racers = [start("hold", clone, "origin") for clone in clones]
        told = sorted(_line(racer) for racer in racers)
        assert told == ["7", "held"]
        for racer in racers:
            racer.communicate("")
        assert sorted(racer.returncode for racer in racers) == [0, 7]
    ledger = _open(clones[0], "origin")
    assert [record.event for record in ledger.records()] == [Event.FINISHED, Event.STARTED] * 4
    assert ledger.verify() == ()


@pytest.mark.parametrize("remote", [None, "origin"])
def test_the_lock_of_a_killed_holder_is_taken_over_at_once(tmp_path: Path, start: Start, remote: str | None) -> None:
    root = make_clones(tmp_path, 1)[1][0]
    holder = start("hold", root, remote)
    assert _line(holder) == "held"
    blocked = start("hold", root, remote)
    assert _line(blocked) == "7"
    holder.kill()
    holder.wait()
    ledger = _open(root, remote)
    lock = ledger.lock()
    assert lock is not None
    assert lock.standing is Standing.DEAD
    with ledger.begin(Intent(BO, {})) as run:
        assert run.taken_over is not None
        assert run.taken_over.process.pid == holder.pid
        assert run.state().intended == {ENDPOINT: "g"}
        run.finish([])
    assert ledger.verify() == ()


def test_a_stopped_holder_still_holds(tmp_path: Path, start: Start) -> None:
    root = make_repository(tmp_path / "r")
    holder = start("hold", root, None)
    assert _line(holder) == "held"
    holder.send_signal(signal.SIGSTOP)
    assert _line(start("hold", root, None)) == "7"
    holder.send_signal(signal.SIGCONT)
    holder.communicate("")
    assert holder.returncode == 0


@pytest.mark.parametrize("remote", [None, "origin"])
def test_a_writer_that_is_killed_at_a_random_time_leaves_all_that_it_said_was_durable(
    tmp_path: Path, start: Start, remote: str | None
) -> None:
    root = make_clones(tmp_path, 1)[1][0]
    random = Random(os.environ.get("PYTEST_RANDOM_SEED", "7"))
    for _round in range(5):
        writer = start("append", root, remote)
        for _ in range(random.randrange(1, 6)):
            said = int(_line(writer))
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(random.random() * 0.03)
        writer.kill()
        rest, _ = writer.communicate()
        said = int(([str(said), *rest.split()])[-1])
        ledger = _open(root, remote)
        steps = [record.body["step"] for record in ledger.records() if record.event is Event.STEP]
        assert steps[0] in {said, said + 1}
        assert ledger.verify() == ()
        git(root, "fsck", "--strict")


def test_an_interrupt_of_the_whole_group_still_lets_the_ledger_be_told(tmp_path: Path) -> None:
    """Ctrl-C reaches every process of the terminal's group; Git is not among them."""
    root = make_repository(tmp_path / "r")
    command = (sys.executable, str(PROGRAM), "hold", str(root), "-")
    holder = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert _line(holder) == "held"
    os.killpg(holder.pid, signal.SIGINT)
    holder.communicate()
    ledger = _open(root, None)
    record = next(ledger.records())
    assert record.event is Event.INTERRUPTED
    assert record.body == {"reason": "stopped by KeyboardInterrupt"}
    assert ledger.state().run is None

"""What breaks a machine, on real processes: kills under load, full and read-only disks, strangers, damaged files."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.disks import Disk, read_only, small_disk
from tests.e2e.laptop import Laptop, make_laptop
from tests.e2e.processes import kill, until

from mlops.clock import SystemClock
from mlops.errors import Exit
from mlops.pipeline.applying import ApplyRequest, Conduct, apply
from mlops.pipeline.workspace import open_workspace
from mlops.resource import Address

FULL = re.compile(r"No space left on device|[Dd]isk is full|database or disk is full|File too large|signal 25\b")
"""What is said of a full disk; the last two where a limit on the size of files stands for it (signal(7): SIGXFSZ)."""

READ_ONLY = re.compile(r"Read-only file system|Permission denied|insufficient permission")
KIB = 1 << 10
MIB = 1 << 20


def test_a_supervisor_killed_under_load_is_gone_and_comes_back_at_its_port(laptop: Laptop) -> None:
    laptop.apply()
    port = laptop.port()
    (supervisor,) = laptop.supervisors()
    with laptop.load(clients=8) as load:
        kill(supervisor)
        load.wait(lambda counted: bool(counted.reasons))
    until(lambda: not laptop.workers(), "the end of all workers")
    said = laptop.expect(2, "plan", "--stage", "dev", "--detailed-exitcode")
    assert "gone from the target, will be created" in said
    assert "1 to create, 0 to update, 0 to delete" in said
    laptop.converge()
    assert laptop.port() == port
    laptop.check_single()
    with laptop.load(clients=8) as load:
        load.wait_for_more(20)
    assert load.report().reasons == {}


def test_a_supervisor_that_is_gone_and_not_declared_any_more_leaves_nothing(laptop: Laptop) -> None:
    laptop.apply()
    kill(laptop.supervisors()[0])
    laptop.withdraw()
    said = laptop.converge()
    assert "delete  endpoint/hello@here: no longer declared, and not live" in said
    laptop.check_gone()


def test_a_worker_killed_under_load_costs_the_requests_that_it_had_and_is_replaced(laptop: Laptop) -> None:
    laptop.serve("1", instance_count=2)
    laptop.apply()
    victim, survivor = laptop.workers()
    with laptop.load(clients=8) as load:
        kill(victim)
        load.wait_for_more(20)
        until(lambda: len(laptop.workers()) == 2, "another worker")
        until(lambda: laptop.ask()["pid"] not in {victim, survivor}, "an answer of the other worker")
        load.wait_for_more(20)
    assert sum(load.report().reasons.values()) <= 1
    assert survivor in laptop.workers()
    laptop.converge()


def listen(port: int) -> socket.socket | None:
    """Listen on a port; None where it is taken, as it is until the last thread of a killed process has ended."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None


def test_a_stranger_on_the_port_is_named_and_left_alone(laptop: Laptop) -> None:
    laptop.apply()
    port = laptop.port()
    kill(laptop.supervisors()[0])
    with until(lambda: listen(port), "a free port") as stranger:
        assert stranger.getsockname()[1] == port
        said = laptop.apply(1)
        assert f"Port {port} belongs to this endpoint for life" in said
        assert f"(pid {os.getpid()})" in said
    laptop.converge()
    assert laptop.port() == port
    laptop.check_single()


@pytest.fixture
def cramped(template: Path, tmp_path: Path) -> Iterator[tuple[Laptop, Disk]]:
    """A laptop whose disk can be filled."""
    with small_disk(tmp_path / "disk") as disk:
        laptop = make_laptop(template, disk.folder / "greetings")
        try:
            yield laptop, disk
        finally:
            laptop.close()


def test_a_full_disk_in_a_first_deployment_is_said_and_made_good(cramped: tuple[Laptop, Disk]) -> None:
    """In the ledger, in the registry, and in making virtual environments."""
    laptop, disk = cramped
    for room in (0, 64 * KIB, 128 * KIB, 256 * KIB, MIB, 8 * MIB):
        with disk.room(laptop, room):
            done = laptop.run("apply", "--stage", "dev", "--yes")
            assert FULL.search(done.stdout + done.stderr) or (room and done.returncode == 0), done
            laptop.expect(0, "plan", "--stage", "dev")
    laptop.converge()
    laptop.expect(0, "model", "verify")
    laptop.check_single()


def test_a_full_disk_in_a_promotion_loses_no_request_and_is_made_good(cramped: tuple[Laptop, Disk]) -> None:
    """The ledger cannot tell of a step, or content finds no room: what served serves on, and the next run goes on."""
    laptop, disk = cramped
    laptop.converge()
    laptop.serve("2")
    with laptop.load(clients=2) as load:
        for room in (0, 16 * KIB, 32 * KIB, 64 * KIB, 96 * KIB, 128 * KIB):
            with disk.room(laptop, room):
                done = laptop.run("apply", "--stage", "dev", "--yes")
                assert done.returncode == 0 or FULL.search(done.stdout + done.stderr), done
                assert laptop.greeting() in {"Hello", "Moin"}
        laptop.converge()
        load.wait_for_more(20)
    assert load.report().reasons == {}
    assert laptop.greeting() == "Moin"
    laptop.check_single()


def test_a_full_disk_in_a_registration_leaves_no_half_version(cramped: tuple[Laptop, Disk], tmp_path: Path) -> None:
    laptop, disk = cramped
    large = tmp_path / "large.txt"
    large.write_text(os.urandom(2 * MIB).hex())
    with disk.room(laptop, MIB):
        assert FULL.search(laptop.expect(1, "model", "register", "greeting", str(large)))
    assert laptop.git("status", "--porcelain") == ""
    laptop.expect(0, "model", "verify")
    laptop.expect(0, "model", "register", "greeting", str(large))
    assert "greeting:4" in laptop.expect(0, "model", "list")
    laptop.expect(0, "model", "verify")


@pytest.mark.parametrize("mount", [False, True], ids=["permissions", "mount"])
def test_a_fresh_clone_that_cannot_be_written_can_be_planned(laptop: Laptop, *, mount: bool) -> None:
    with read_only(laptop, mount=mount):
        assert "5 to create" in laptop.expect(0, "plan", "--stage", "dev")
        assert READ_ONLY.search(laptop.apply(1))
    assert not (laptop.root / ".mlops").exists()


@pytest.mark.parametrize("mount", [False, True], ids=["permissions", "mount"])
def test_a_repository_that_cannot_be_written_can_be_read(laptop: Laptop, *, mount: bool) -> None:
    laptop.apply()
    laptop.serve("2")
    questions = (
        ("validate",),
        ("plan", "--stage", "dev"),
        ("show", "hello", "--stage", "dev"),
        ("status", "--stage", "dev"),
        ("history", "--stage", "dev"),
        ("drift", "--stage", "dev"),
        ("snapshot", "--stage", "dev"),
        ("locks",),
        ("model", "list"),
        ("model", "verify"),
    )
    wishes = (
        ("apply", "--stage", "dev", "--yes"),
        ("model", "register", "greeting", str(laptop.root / "mlops.yaml")),
        ("destroy", "--stage", "dev", "--yes"),
    )
    with read_only(laptop, mount=mount):
        for question in questions:
            laptop.expect(0, *question)
        for wish in wishes:
            assert READ_ONLY.search(laptop.expect(1, *wish)), wish
        assert laptop.greeting() == "Hello"
    laptop.converge()
    assert laptop.greeting() == "Moin"


@pytest.mark.parametrize("kept", [0, 4096, 6000])
def test_a_registry_that_was_cut_off_is_noticed_and_rebuilt(laptop: Laptop, kept: int) -> None:
    """Nothing that was registered is lost, and what serves is not touched."""
    laptop.apply()
    index = laptop.root / ".mlops/registry/index.sqlite3"
    listed = laptop.expect(0, "model", "list")
    os.truncate(index, kept)
    for command in (("plan", "--stage", "dev"), ("apply", "--stage", "dev", "--yes"), ("model", "verify")):
        said = laptop.expect(1, *command)
        assert "Registry index is damaged" in said
        assert "mlops model verify --rebuild" in said
    assert laptop.greeting() == "Hello"
    laptop.expect(0, "model", "verify", "--rebuild")
    assert laptop.expect(0, "model", "list") == listed
    laptop.converge()
    laptop.check_single()


@dataclass
class TurnedClock(SystemClock):
    """This machine's clocks, of which somebody turns the one on the wall."""

    turned: float = 0.0

    def time(self) -> float:
        """Seconds since 1970, as the wall says."""
        return super().time() + self.turned


def test_a_clock_that_is_turned_back_confuses_no_record(template: Path, tmp_path: Path) -> None:
    """The order of records is the ledger's; what served at a time is answered by the latest time that was seen."""
    laptop = make_laptop(template, tmp_path / "greetings", computes={"here": {"type": "memory", "file": "far.json"}})
    laptop.declare(sample_request=None)
    clock = TurnedClock()
    address = Address.parse("endpoint/hello@here")
    goals = []
    for version, turn in (("1", 0.0), ("2", -86400.0), ("3", -3600.0), ("1", 86400.0)):
        clock.turned = turn
        laptop.serve(version)
        workspace = open_workspace(laptop.root, clock=clock)
        conduct = Conduct(lambda _plan: True, lambda _progress: None, threading.Event())
        assert apply(workspace, "dev", ApplyRequest(), conduct).exit_code is Exit.DONE
        goals.append(workspace.ledger("dev", local=True).state().applied[address].goal)
        workspace.git.close()
    laptop.check_ledgers()
    laptop.expect(0, "plan", "--stage", "dev", "--detailed-exitcode")
    first, *_, last = laptop.records()
    with laptop.ledger() as ledger:
        assert ledger.at(first.time - 1) is None
        moments = [ledger.at(time) for time in (first.time + 3600, last.time)]
    assert [m.state.applied[address].goal for m in moments if m is not None] == [goals[2], goals[3]]

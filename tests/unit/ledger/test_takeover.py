"""Who may take a lock from whom, and when: no wall clock decides."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.ledger.rig import (
    ADA,
    BO,
    ELSEWHERE,
    ENDPOINT,
    PROJECT,
    ManualClock,
    add,
    begin_elsewhere,
    intent,
    open_git,
    open_ledger,
)

from mlops.errors import Locked
from mlops.git.refs import RefUpdate
from mlops.ledger import Ledger, Standing
from mlops.ledger.branch import Branch
from mlops.ledger.extend import Draft
from mlops.ledger.lease import Lease, make_lease
from mlops.ledger.lock import Sightings
from mlops.ledger.process import Process, this_process
from mlops.ledger.record import Entry
from mlops.ledger.state_json import process_to_json
from mlops.resource import JSON, Event

DEADLINE = 60.0


def _until(condition: Callable[[], object]) -> None:
    """Wait for another thread."""
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.005)


def _dead_process() -> Process:
    """A process of this machine that has ended."""
    with subprocess.Popen((sys.executable, "-c", "")) as ended:
        ended.wait()
    return replace(this_process(), pid=ended.pid, ticks=1)


def _begin_as(root: Path, clock: ManualClock, process: Process) -> None:
    body: dict[str, JSON] = {
        "process": process_to_json(process, clock.uptime()),
        "intended": {str(ENDPOINT): "g"},
    }
    add(root, [Draft(Entry(Event.STARTED, ADA, "theirs", body=body), {})], clock)


def _renew_elsewhere(branch: Branch, clock: ManualClock) -> None:
    seen = branch.lease()
    made = make_lease(Lease("", "elsewhere", clock.time(), 7.0, int(clock.up)), branch.git.hash_name)
    assert branch.move_lease(RefUpdate(branch.lease_name, made.oid, seen), made)


def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over_at_once(root: Path, clock: ManualClock) -> None:
    _begin_as(root, clock, _dead_process())
    ledger = open_ledger(root, clock)
    lock = ledger.lock()
    assert lock is not None
    assert lock.standing is Standing.DEAD
    with ledger.begin(intent({}, origin=BO)) as run:
        assert run.taken_over is not None
        assert run.taken_over.id == "theirs"
        assert run.state().intended == {ENDPOINT: "g"}
        run.finish([])
    closed = list(ledger.records())[2]
    assert (closed.event, closed.run, closed.actor) == (Event.INTERRUPTED, "theirs", BO.actor)
    assert closed.body == {"cause": "its process is gone"}
    assert clock.up == 1000.0


def test_a_process_number_that_was_used_again_is_another_process(root: Path, clock: ManualClock) -> None:
    me = this_process()
    _begin_as(root, clock, replace(me, ticks=me.ticks - 1))
    with open_ledger(root, clock).begin(intent({})) as run:
        assert run.taken_over is not None
        run.finish([])


def test_a_process_that_only_waits_to_be_buried_is_dead(root: Path, clock: ManualClock) -> None:
    zombie = subprocess.Popen((sys.executable, "-c", ""))
    try:
        stat = Path(f"/proc/{zombie.pid}/stat")
        _until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z")
        ticks = int(stat.read_text().rpartition(")")[2].split()[19])
        _begin_as(root, clock, replace(this_process(), pid=zombie.pid, ticks=ticks))
        lock = open_ledger(root, clock).lock()
        assert lock is not None
        assert lock.standing is Standing.DEAD
    finally:
        zombie.wait()


def test_the_same_process_number_on_another_machine_proves_nothing(root: Path, clock: ManualClock) -> None:
    _begin_as(root, clock, replace(_dead_process(), machine="another-boot/pid:[1]"))
    with pytest.raises(Locked):
        open_ledger(root, clock).begin(intent({}))


def test_a_process_of_this_machine_that_stopped_renewing_expires_by_uptime(root: Path, clock: ManualClock) -> None:
    _begin_as(root, clock, this_process())
    clock.now -= 1e6
    clock.up += 89
    with pytest.raises(Locked):
        open_ledger(root, clock).begin(intent({}))
    clock.up += 1
    with open_ledger(root, clock).begin(intent({})) as run:
        assert run.taken_over is not None
        run.finish([])


@pytest.mark.parametrize("jump", [0.0, -86_400.0, 89.0])
def test_a_lock_from_elsewhere_is_refused_while_it_may_live(root: Path, clock: ManualClock, jump: float) -> None:
    begin_elsewhere(root, clock)
    clock.now += jump
    with pytest.raises(Locked, match="build-7"):
        open_ledger(root, clock).begin(intent({}))
    assert clock.up == 1000.0


def test_a_wall_clock_that_jumps_ahead_makes_nobody_take_a_lock_before_it_was_watched(
    root: Path, clock: ManualClock
) -> None:
    begin_elsewhere(root, clock)
    clock.now += 86_400
    told: list[str] = []
    with open_ledger(root, clock).begin(intent({}), say=told.append) as run:
        assert run.taken_over is not None
        run.finish([])
    assert 1090 <= clock.up < 1095
    assert len(told) == 1
    assert "looks expired; watching it for up to 90 s" in told[0]


def test_a_lock_that_is_renewed_while_it_is_watched_is_held(root: Path, clock: ManualClock) -> None:
    branch = begin_elsewhere(root, clock)
    clock.now += 1000
    clock.before_wait = lambda: _renew_elsewhere(branch, clock) if 1040 <= clock.up < 1042 else None
    with pytest.raises(Locked):
        open_ledger(root, clock).begin(intent({}))
    assert 1040 <= clock.up < 1045


def test_a_lock_that_is_renewed_by_a_slow_clock_is_watched_anew(root: Path, clock: ManualClock) -> None:
    """Its recorded time always looks expired here, but it changes."""
    branch = begin_elsewhere(root, clock)

    def renew() -> None:
        if clock.up < 1300 and int(clock.up) % 30 < 2:
            clock.now -= 1e6
            _renew_elsewhere(branch, clock)
            clock.now += 1e6

    clock.now += 1e6
    clock.before_wait = renew
    with open_ledger(root, clock).begin(intent({})) as run:
        run.finish([])
    assert clock.up >= 1290 + 90


def test_a_holder_that_renews_just_before_its_run_is_closed_keeps_the_lock(root: Path, clock: ManualClock) -> None:
    theirs = begin_elsewhere(root, clock)
    with pytest.raises(Locked):
        open_ledger(root, clock).begin(intent({}))
    clock.up += 90
    renewed: list[str] = []

    def renew(arguments: Sequence[str]) -> None:
        if arguments[0] == "update-ref" and not renewed:
            renewed.append("in the last moment")
            _renew_elsewhere(theirs, clock)

    late = Ledger.open(open_git(root, renew), "dev", project=PROJECT, clock=clock)
    with pytest.raises(Locked, match="build-7"):
        late.begin(intent({}))
    assert renewed
    assert late.state().run is not None


def test_what_one_command_saw_counts_for_the_next_one(root: Path, clock: ManualClock) -> None:
    begin_elsewhere(root, clock)
    with pytest.raises(Locked):
        open_ledger(root, clock).begin(intent({}))
    clock.up += 90
    with open_ledger(root, clock).begin(intent({})) as run:
        assert run.taken_over is not None
        run.finish([])
    assert clock.up == 1090.0


def test_what_was_seen_before_a_reboot_does_not_count(tmp_path: Path, clock: ManualClock) -> None:
    Sightings(tmp_path / "s", clock, "boot-1").age("token")
    clock.up += 50
    assert Sightings(tmp_path / "s", clock, "boot-1").age("token") == 50
    assert Sightings(tmp_path / "s", clock, "boot-2").age("token") == 0
    clock.up = 3
    assert Sightings(tmp_path / "s", clock, "boot-2").age("token") == 0


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"machine": "m"}', '{"machine": "m", "token": "t", "uptime": "x"}']
)
def test_a_note_that_cannot_be_read_or_written_only_means_watching_anew(
    tmp_path: Path, clock: ManualClock, content: str
) -> None:
    (tmp_path / "s").write_text(content)
    assert Sightings(tmp_path / "s", clock, "m").age("t") == 0
    assert Sightings(tmp_path / "s" / "below a file", clock, "m").age("t") == 0


def test_a_machine_that_tells_no_boot_remembers_nothing(tmp_path: Path, clock: ManualClock) -> None:
    Sightings(tmp_path / "s", clock, "").age("token")
    clock.up += 50
    assert Sightings(tmp_path / "s", clock, "").age("token") == 0
    assert not replace(ELSEWHERE, machine="").shares_machine(replace(ELSEWHERE, machine=""))

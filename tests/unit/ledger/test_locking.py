"""The lock: who holds it, how it is lost, and who may take it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.unit.git.room import git, make_repository
from tests.unit.ledger.rig import (
    ADA,
    BO,
    ELSEWHERE,
    ENDPOINT,
    PROJECT,
    ManualClock,
    add,
    apply_once,
    begin_elsewhere,
    done,
    intent,
    open_git,
    open_ledger,
    spec,
)

from mlops.errors import Exit, Locked
from mlops.git.refs import RefUpdate
from mlops.ledger import Intent, Ledger, Record, RecordedResult, Standing, SystemClock
from mlops.ledger.branch import Branch
from mlops.ledger.extend import Draft
from mlops.ledger.lease import Lease, make_lease
from mlops.ledger.lock import Sightings
from mlops.ledger.process import Process, this_process
from mlops.ledger.record import Entry
from mlops.ledger.state_json import process_to_json
from mlops.resource import JSON, Address, Event, Kind

DEADLINE = 20.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "r")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def _until(condition: Callable[[], object]) -> None:
    """Wait for another thread."""
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.005)


def _lease(root: Path) -> str:
    return git(root, "for-each-ref", "--format=%(objectname)", "refs/mlops/lease/dev")


def _is_renewed(root: Path, seen: str) -> bool:
    return _lease(root) != seen


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


# Held


def test_a_held_lock_names_its_owner_and_how_to_break_it(root: Path, clock: ManualClock) -> None:
    ledger = open_ledger(root, clock)
    with ledger.begin(intent({})) as run:
        clock.pass_(12)
        with pytest.raises(Locked) as caught:
            open_ledger(root, clock).begin(intent({}))
        run.finish([])
    problem = caught.value.diagnostics[0]
    assert caught.value.exit_code is Exit.LOCKED
    assert "Ada <ada@example.com>" in problem.detail
    assert f"process {this_process().pid}" in problem.detail
    assert "12 s ago" in problem.detail
    assert "in 78 s" in problem.detail
    assert problem.command == "mlops locks break --stage dev"
    with ledger.begin(intent({})) as run:
        run.finish([])


def test_each_stage_has_a_lock_of_its_own(root: Path) -> None:
    with open_ledger(root).begin(intent({})) as dev, open_ledger(root, stage="prod").begin(intent({})) as prod:
        dev.finish([])
        prod.finish([])


def test_the_lock_is_told_by_asking(root: Path, clock: ManualClock) -> None:
    with open_ledger(root, clock).begin(intent({ENDPOINT: "g"})) as run:
        lock = open_ledger(root, clock).lock()
        assert lock is not None
        assert (lock.run.id, lock.standing, lock.expires) == (run.id, Standing.HELD, 90.0)
        assert lock.run.intended == {ENDPOINT: "g"}
        run.finish([])
    assert open_ledger(root, clock).lock() is None


def test_waiting_for_a_lock_takes_it_when_it_is_free(root: Path, clock: ManualClock) -> None:
    first = open_ledger(root, clock).begin(intent({}))
    told: list[str] = []
    results: list[RecordedResult] = []
    ended: list[Record] = []

    def end() -> None:
        if clock.up >= 1010 and not ended:
            ended.append(first.finish(results))

    clock.before_wait = end
    with open_ledger(root, clock).begin(intent({}), wait=60, say=told.append) as second:
        second.finish([])
    assert 1010 <= clock.up < 1020
    assert len(told) == 1
    assert told[0].startswith('Waiting for the lock of stage "dev", held by Ada <ada@example.com> on ')


def test_waiting_for_a_lock_ends(root: Path, clock: ManualClock) -> None:
    with open_ledger(root, clock).begin(intent({})) as run:
        with pytest.raises(Locked):
            open_ledger(root, clock).begin(intent({}), wait=5)
        run.finish([])
    assert 1005 <= clock.up <= 1008


def test_of_many_that_begin_at_once_exactly_one_wins(root: Path) -> None:
    ledgers = [Ledger.open(open_git(root), "dev", project=PROJECT) for _ in range(6)]
    won: list[str] = []
    lost: list[Locked] = []
    start = threading.Barrier(len(ledgers))

    def begin(ledger: Ledger) -> None:
        start.wait()
        try:
            run = ledger.begin(intent({}))
        except Locked as error:
            lost.append(error)
        else:
            won.append(run.id)

    threads = [threading.Thread(target=begin, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 5)
    assert [record.run for record in ledgers[0].records()] == won
    ledgers[0].break_lock(BO)


# Taken over


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


# The holder


def test_a_lease_is_renewed_in_the_background_and_then_lasts_longer(root: Path, clock: ManualClock) -> None:
    ledger = open_ledger(root, clock)
    with ledger.begin(intent({})) as run:
        for _ in range(5):
            seen = _lease(root)
            clock.pass_(31)
            _until(partial(_is_renewed, root, seen))
            run.held()
            lock = open_ledger(root, clock).lock()
            assert lock is not None
            assert lock.expires == pytest.approx(90, abs=1)
        run.finish([])
    assert clock.up > 1090


def test_a_short_run_makes_no_lease(root: Path) -> None:
    apply_once(open_ledger(root), 1)
    assert git(root, "for-each-ref", "refs/mlops") == ""


def test_a_holder_that_could_not_renew_stops_before_anybody_may_take_over(root: Path, clock: ManualClock) -> None:
    (root / ".git" / "refs" / "mlops").write_text("a file where a folder must be")
    with open_ledger(root, clock).begin(intent({})) as run:
        clock.up += 79
        run.held()
        clock.up += 1
        with pytest.raises(Locked, match="could not be renewed in time") as caught:
            run.held()
        assert caught.value.diagnostics[0].command == "mlops locks list --stage dev"
        run.finish([])


def test_a_renewal_whose_answer_was_lost_is_known_again(root: Path, clock: ManualClock) -> None:
    with open_ledger(root, clock).begin(intent({})) as run:
        branch = Branch(open_git(root), PROJECT, "dev", None, clock)
        mine = make_lease(Lease("", run.id, clock.time(), clock.uptime(), 1), "sha1")
        assert branch.move_lease(RefUpdate(branch.lease_name, mine.oid, None), mine)
        clock.pass_(31)

        def is_renewed() -> bool:
            clock.pass_(1)
            return branch.lease() != mine.oid

        _until(is_renewed)
        run.held()
        run.finish([])


def test_a_broken_lock_stops_its_holder_before_the_next_write(root: Path, clock: ManualClock) -> None:
    run = open_ledger(root, clock).begin(intent({ENDPOINT: "g"}))
    run.held()
    record = open_ledger(root, clock).break_lock(BO)
    assert record is not None
    assert (record.event, record.run, record.reason, record.body) == (
        Event.INTERRUPTED,
        run.id,
        "it is stuck",
        {"cause": "broken"},
    )
    for use in (
        run.held,
        lambda: run.denied(ENDPOINT, "g", "x"),
        lambda: run.step(ENDPOINT, "g", 1, spec(1), done=False),
        lambda: run.finish([done(ENDPOINT, "g")]),
    ):
        with pytest.raises(Locked, match="does not hold the lock"):
            use()
    assert open_ledger(root, clock).state().intended == {ENDPOINT: "g"}
    with open_ledger(root, clock).begin(intent({})) as other:
        other.finish([])


def test_a_run_that_is_left_open_is_closed_as_interrupted(root: Path) -> None:
    ledger = open_ledger(root)
    with pytest.raises(KeyboardInterrupt), ledger.begin(intent({ENDPOINT: "g"})):
        raise KeyboardInterrupt
    record = next(ledger.records())
    assert (record.event, record.body) == (Event.INTERRUPTED, {"reason": "stopped by KeyboardInterrupt"})
    assert ledger.state().intended == {ENDPOINT: "g"}
    with ledger.begin(intent({})):
        pass
    assert next(ledger.records()).body == {"reason": "it ended without a result"}


def test_what_stopped_a_run_is_not_hidden_by_the_ledgers_own_trouble(root: Path) -> None:
    def go_wrong() -> None:
        with open_ledger(root).begin(intent({})):
            open_ledger(root).break_lock(BO)
            raise RuntimeError("the cause")

    with pytest.raises(RuntimeError, match="the cause") as caught:
        go_wrong()
    assert "The lock was lost" in caught.value.__notes__[0]


def test_records_told_by_many_threads_are_all_kept_in_one_order(root: Path) -> None:
    ledger = Ledger.open(open_git(root), "dev", project=PROJECT)
    addresses = [Address(Kind.ENDPOINT, f"e{number}@c") for number in range(8)]
    with ledger.begin(Intent(ADA, {})) as run:

        def roll(address: Address) -> None:
            for step in range(4):
                run.step(address, "g", step, spec(step, new=step), done=True)

        threads = [threading.Thread(target=roll, args=(address,)) for address in addresses]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(run.state().rollouts) == set(addresses)
        run.finish([])
    assert ledger.state().sequence == 34
    assert ledger.verify() == ()
    for address in addresses:
        steps = [record.body["step"] for record in ledger.records(address=address)]
        assert steps == [3, 2, 1, 0]


def test_one_bad_record_among_many_fails_alone(root: Path) -> None:
    """A pause without a rollout is refused; what other threads tell at the same time is not."""
    ledger = Ledger.open(open_git(root), "dev", project=PROJECT)
    refused: list[ValueError] = []
    with ledger.begin(Intent(ADA, {})) as run:

        def pause() -> None:
            for _ in range(10):
                try:
                    run.pause(ENDPOINT, 5.0)
                except ValueError as error:
                    refused.append(error)

        threads = [threading.Thread(target=pause) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in range(10):
            run.denied(Address(Kind.ENDPOINT, f"e{number}@c"), "g", "bad")
        for thread in threads:
            thread.join()
        run.finish([])
    assert len(refused) == 20
    assert len(ledger.state().denied) == 10


def test_a_pause_is_remembered_and_the_run_goes_on(root: Path) -> None:
    ledger = open_ledger(root)
    with ledger.begin(intent({})) as run:
        run.step(ENDPOINT, "g", 1, spec(1), done=True)
        assert run.pause(ENDPOINT, 1_800_000_600.0, "soaking").event is Event.PAUSED
        run.held()
        run.finish([])
    assert ledger.state().rollouts[ENDPOINT].paused_until == 1_800_000_600.0


def test_the_clocks_of_this_machine_go_on() -> None:
    clock = SystemClock()
    assert clock.time() > 1.7e9
    first = clock.uptime()
    assert not clock.wait(threading.Event(), 0.001)
    assert clock.uptime() > first

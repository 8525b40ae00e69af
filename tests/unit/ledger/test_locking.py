"""Holding a lock, being refused, and waiting for it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.unit.ledger.rig import (
    BO,
    ENDPOINT,
    PROJECT,
    ManualClock,
    intent,
    open_git,
    open_ledger,
)

from mlops.errors import Exit, Locked
from mlops.ledger import Ledger, Record, RecordedResult, Standing, SystemClock
from mlops.ledger.process import this_process


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


def test_the_clocks_of_this_machine_go_on() -> None:
    clock = SystemClock()
    assert clock.time() > 1.7e9
    first = clock.uptime()
    assert not clock.wait(threading.Event(), 0.001)
    assert clock.uptime() > first

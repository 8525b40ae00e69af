"""A run that holds the lock: how it keeps it, what it tells, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.unit.git.room import git
from tests.unit.ledger.rig import (
    ADA,
    BO,
    ENDPOINT,
    PROJECT,
    ManualClock,
    apply_once,
    done,
    intent,
    open_git,
    open_ledger,
    spec,
)

from mlops.errors import Locked
from mlops.git.refs import RefUpdate
from mlops.ledger import Intent, Ledger
from mlops.ledger.branch import Branch
from mlops.ledger.lease import Lease, make_lease
from mlops.resource import Address, Event, Kind

DEADLINE = 100.0


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


def test_a_lease_is_renewed_in_the_background_and_then_lasts_longer(root: Path, clock: ManualClock) -> None:
    ledger = open_ledger(root, clock)
    with ledger.begin(intent({})) as run:
        for _ in range(5):
            seen = _lease(root)
            clock.until_waiting()
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
        clock.until_waiting()
        waits = clock.waits
        clock.pass_(31)
        _until(lambda: clock.waits > waits)
        clock.pass_(31)
        _until(lambda: branch.lease() != mine.oid)
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

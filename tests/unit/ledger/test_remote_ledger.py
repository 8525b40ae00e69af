"""A ledger that lives on a remote, seen from its clones."""

from __future__ import annotations

import time
from collections.abc import Sequence
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
    begin_elsewhere,
    intent,
    make_clones,
    open_git,
    open_ledger,
    spec,
)

from mlops.errors import Locked, MlopsError
from mlops.git import Diverged, RemoteRefused, Unreachable
from mlops.git.refs import RefUpdate
from mlops.ledger import CorruptLedger, Ledger
from mlops.ledger.branch import Branch
from mlops.ledger.lease import Lease, make_lease
from mlops.resource import Event

NAME = "refs/heads/ledger/dev"
SEEN = "refs/remotes/origin/ledger/dev"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return make_clones(tmp_path, 2)[0]


@pytest.fixture
def clones(remote: Path) -> list[Path]:
    return [remote.parent / "clone-0", remote.parent / "clone-1"]


def _open(clone: Path, clock: ManualClock | None = None) -> Ledger:
    return open_ledger(clone, clock, "origin")


def test_what_one_clone_records_another_one_sees_when_it_looks(remote: Path, clones: list[Path]) -> None:
    one, two = map(_open, clones)
    goal = apply_once(one, 1)
    assert git(remote, "rev-parse", NAME) == git(clones[0], "rev-parse", SEEN)
    assert git(clones[0], "for-each-ref", "refs/heads/ledger") == ""
    assert two.tip() is None
    two.refresh()
    assert two.tip() == one.tip()
    assert two.spec(goal) == spec(1)
    assert not (clones[1] / ".git" / "FETCH_HEAD").exists()


def test_a_clone_that_has_not_looked_for_long_adds_to_what_is_there(clones: list[Path]) -> None:
    one, two = map(_open, clones)
    apply_once(one, 1)
    two.append(Event.APPROVED, BO)
    one.append(Event.APPROVED, ADA)
    two.refresh()
    assert [record.actor.name for record in two.records()] == ["Ada", "Bo", "Ada", "Ada"]
    assert two.verify() == ()


def test_a_lock_that_one_clone_holds_another_one_respects(clones: list[Path]) -> None:
    one, two = map(_open, clones)
    with one.begin(intent({})) as run:
        with pytest.raises(Locked, match="Ada"):
            two.begin(intent({}))
        run.finish([])
    with two.begin(intent({})) as run:
        run.finish([])


def test_records_of_others_during_a_run_are_kept(clones: list[Path]) -> None:
    """Also when what was last seen is newer than what the run built upon, because somebody fetched meanwhile."""
    one, two = map(_open, clones)
    with one.begin(intent({})) as run:
        two.append(Event.APPROVED, BO)
        git(clones[0], "fetch", "-q")
        run.denied(ENDPOINT, "g", "bad")
        two.append(Event.APPROVED, BO)
        run.finish([])
    assert [record.event.value for record in one.records()] == ["finished", "approved", "denied", "approved", "started"]
    assert one.verify() == ()


def test_a_broken_lock_stops_its_holder_at_its_next_record_or_renewal(clones: list[Path]) -> None:
    clock = ManualClock()
    one, two = _open(clones[0], clock), _open(clones[1], clock)
    run = one.begin(intent({}))
    two.break_lock(BO)
    run.held()
    clock.until_waiting()
    clock.pass_(31)
    give_up = time.monotonic() + 100

    def hold_on() -> None:
        while time.monotonic() < give_up:
            run.held()
            time.sleep(0.005)

    with pytest.raises(Locked, match="took it over, or somebody broke it"):
        hold_on()
    with pytest.raises(Locked, match="it was closed"):
        run.finish([])


def test_a_dead_run_from_elsewhere_is_taken_over_with_its_lease_in_one_move(remote: Path, clones: list[Path]) -> None:
    clock = ManualClock()
    theirs = begin_elsewhere(clones[0], clock, "origin", {ENDPOINT: "g"})
    lease = make_lease(Lease("", "elsewhere", clock.time(), 7.0, 1), "sha1")
    assert theirs.move_lease(RefUpdate(theirs.lease_name, lease.oid, None), lease)
    clock.now += 1000
    with _open(clones[1], clock).begin(intent({}, origin=BO)) as run:
        assert run.taken_over is not None
        assert run.taken_over.id == "elsewhere"
        assert run.state().intended == {ENDPOINT: "g"}
        run.finish([])
    assert clock.up >= 1090
    assert '"closed": true' in git(remote, "cat-file", "blob", theirs.lease_name)
    late = make_lease(Lease("", "elsewhere", clock.time(), 99.0, 2), "sha1")
    assert not theirs.move_lease(RefUpdate(theirs.lease_name, late.oid, lease.oid), late)


def test_offline_nothing_is_begun_and_what_was_seen_can_still_be_read(clones: list[Path]) -> None:
    ledger = _open(clones[0])
    goal = apply_once(ledger, 1)
    git(clones[0], "remote", "set-url", "origin", str(clones[0] / "gone"))
    offline = _open(clones[0])
    for use in (offline.refresh, lambda: offline.begin(intent({})), lambda: offline.append(Event.APPROVED, ADA)):
        with pytest.raises(Unreachable, match="cannot be reached"):
            use()
    assert offline.state().applied[ENDPOINT].goal == goal
    assert offline.state().run is None


def test_a_remote_that_refuses_is_named_and_nothing_is_begun(remote: Path, clones: list[Path]) -> None:
    hook = remote / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho protected branch >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(RemoteRefused, match="protected branch") as caught:
        _open(clones[0]).begin(intent({}))
    assert "ledger/*" in caught.value.diagnostics[0].todo
    assert git(remote, "for-each-ref") == ""
    assert git(clones[0], "for-each-ref", "refs/remotes/origin/ledger") == ""


def test_an_answer_that_was_lost_after_the_effect_is_found_out(remote: Path, clones: list[Path]) -> None:
    away = remote.with_name("away.git")

    def lose(arguments: Sequence[str]) -> None:
        """Let a push happen, and then let the network fail until somebody fetches."""
        if arguments[0] == "push" and remote.exists():
            git(clones[0], *arguments)
            remote.rename(away)
        elif arguments[0] == "fetch" and away.exists():
            away.rename(remote)

    ledger = Ledger.open(open_git(clones[0], lose), "dev", project=PROJECT, remote="origin", clock=ManualClock())
    apply_once(ledger, 1)
    assert [record.event for record in ledger.records()] == [Event.FINISHED, Event.STARTED]
    assert git(remote, "rev-parse", NAME) == git(clones[0], "rev-parse", SEEN)


def test_a_ledger_that_was_begun_without_a_remote_is_published_by_the_next_record(
    remote: Path, clones: list[Path]
) -> None:
    goal = apply_once(open_ledger(clones[0]), 1)
    ledger = _open(clones[0])
    ledger.refresh()
    assert ledger.state().applied[ENDPOINT].goal == goal
    ledger.append(Event.APPROVED, ADA)
    assert git(remote, "rev-list", "--count", NAME) == "3"
    assert ledger.verify() == ()


def test_of_two_ledgers_the_remotes_counts(clones: list[Path]) -> None:
    apply_once(open_ledger(clones[0]), 1)
    goal = apply_once(_open(clones[1]), 2)
    ledger = _open(clones[0])
    ledger.append(Event.APPROVED, ADA)
    assert ledger.state().applied[ENDPOINT].goal == goal
    assert ledger.state().sequence == 3


def test_a_ledger_that_was_rewritten_on_the_remote_is_not_taken(remote: Path, clones: list[Path]) -> None:
    ledger = _open(clones[0])
    apply_once(ledger, 1)
    before = git(clones[0], "rev-parse", SEEN)
    git(remote, "update-ref", NAME, f"{NAME}^")
    for use in (ledger.refresh, lambda: ledger.begin(intent({})), lambda: ledger.append(Event.APPROVED, ADA)):
        with pytest.raises(Diverged, match="rewritten"):
            use()
    assert git(clones[0], "rev-parse", SEEN) == before


def test_a_ledger_that_was_deleted_on_the_remote_is_not_begun_anew(remote: Path, clones: list[Path]) -> None:
    ledger = _open(clones[0])
    apply_once(ledger, 1)
    git(remote, "update-ref", "-d", NAME)
    with pytest.raises(MlopsError, match="was deleted there"):
        ledger.append(Event.APPROVED, ADA)
    assert git(remote, "for-each-ref") == ""


def test_a_foreign_branch_on_the_remote_is_refused(clones: list[Path]) -> None:
    git(clones[0], "push", "-q", "origin", f"HEAD:{NAME}")
    with pytest.raises(CorruptLedger, match="origin/ledger/dev"):
        _open(clones[1]).begin(intent({}))


def test_a_shallow_clone_fetches_the_records_that_it_lacks_when_they_are_asked_for(
    remote: Path, clones: list[Path]
) -> None:
    clock = ManualClock()
    ledger = _open(clones[0], clock)
    goals = []
    for number in range(3):
        goals.append(apply_once(ledger, number))
        clock.pass_(100)
    git(remote.parent, "clone", "-q", "--depth=1", "--branch=ledger/dev", f"file://{remote}", "shallow")
    git(remote.parent / "shallow", "checkout", "-q", "--detach")
    shallow = _open(remote.parent / "shallow", clock)
    assert shallow.state() == ledger.state()
    moment = shallow.at(clock.now - 250)
    assert moment is not None
    assert moment.state.applied[ENDPOINT].goal == goals[0]
    assert list(shallow.records()) == list(ledger.records())
    apply_once(shallow, 9)
    assert shallow.verify() == ()


def test_a_shallow_clone_that_cannot_fetch_says_so(remote: Path, clones: list[Path]) -> None:
    ledger = _open(clones[0])
    apply_once(ledger, 1)
    git(remote.parent, "clone", "-q", "--depth=1", "--branch=ledger/dev", f"file://{remote}", "shallow")
    git(remote.parent / "shallow", "remote", "set-url", "origin", str(remote / "gone"))
    with pytest.raises(Unreachable):
        list(_open(remote.parent / "shallow").records())


def test_a_bare_clone_reads_and_writes(remote: Path, clones: list[Path]) -> None:
    apply_once(_open(clones[0]), 1)
    git(remote.parent, "clone", "-q", "--bare", str(remote), "bare.git")
    ledger = _open(remote.parent / "bare.git")
    assert ledger.state().sequence == 2
    apply_once(ledger, 2)
    assert git(remote, "rev-list", "--count", NAME) == "4"


def test_the_ledger_of_a_clone_is_not_that_of_its_origin(clones: list[Path]) -> None:
    """Without a remote that is named, nothing is fetched or pushed."""
    apply_once(_open(clones[0]), 1)
    local = open_ledger(clones[0])
    assert local.tip() is None
    assert Branch(open_git(clones[0]), PROJECT, "dev", None, ManualClock()).commit() is None

"""Killed at any Git process of a record: the ledger is as before or as after, and the next run goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.git.room import Calls, Killed, git, make_repository
from tests.unit.ledger.rig import (
    ADA,
    ENDPOINT,
    PROJECT,
    ManualClock,
    done,
    intent,
    make_clones,
    open_git,
    open_ledger,
    spec,
)

from mlops.git import GitRepository
from mlops.ledger import Ledger, State
from mlops.resource import Event, digest

GOAL = digest(spec(1))
LAST_CALL = 40


def _whole_run(root: Path, calls: Calls, remote: str | None, clock: ManualClock) -> None:
    """Everything that a run tells, through processes of which one is the last."""
    with GitRepository.open(root, before=calls) as repository:
        ledger = Ledger.open(repository, "dev", project=PROJECT, remote=remote, clock=clock)
        run = ledger.begin(intent({ENDPOINT: GOAL}, [spec(1)]))
        run.step(ENDPOINT, GOAL, 0, spec(1, new=10), done=False)
        run.step(ENDPOINT, GOAL, 0, spec(1, new=10), done=True)
        run.finish([done(ENDPOINT, GOAL)])
        ledger.append(Event.APPROVED, ADA)


EVENTS = [Event.STARTED, Event.STEP, Event.STEP, Event.FINISHED, Event.APPROVED]


def _next_run(ledger: Ledger, clock: ManualClock, before: State) -> None:
    """Whatever was cut short, the next run closes it and goes on."""
    if before.run is not None:
        clock.up += 90
    with ledger.begin(intent({ENDPOINT: GOAL}, [spec(1)])) as run:
        assert (run.taken_over is None) == (before.run is None)
        if before.run is not None:
            assert run.state().intended == {ENDPOINT: GOAL}
        run.finish([done(ENDPOINT, GOAL)])
    assert ledger.state().applied[ENDPOINT].goal == GOAL
    assert ledger.state().intended == {}


@pytest.mark.parametrize("remote", [None, "origin"])
def test_a_run_that_is_killed_before_any_git_process_leaves_a_whole_ledger(tmp_path: Path, remote: str | None) -> None:
    survived = False
    for last in range(2, LAST_CALL):
        clock = ManualClock()
        folder = tmp_path / str(last)
        root = make_repository(folder / "r") if remote is None else make_clones(_made(folder), 1)[1][0]
        calls = Calls(fail_at=last)
        try:
            _whole_run(root, calls, remote, clock)
            survived = True
        except Killed:
            assert len(calls.made) == last
        clock.stopped = True
        clock = ManualClock()
        ledger = Ledger.open(open_git(root), "dev", project=PROJECT, remote=remote, clock=clock)
        ledger.refresh()
        assert ledger.verify() == ()
        events = [record.event for record in ledger.records()][::-1]
        assert events == EVENTS[: len(events)]
        if survived:
            assert events == EVENTS
            break
        _next_run(ledger, clock, ledger.state())
        assert ledger.verify() == ()
        git(root, "fsck", "--strict")
    assert survived


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_objects_that_a_killed_append_left_are_in_nobodys_way(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    calls = Calls(fail_at=3)
    ledger = Ledger.open(open_git(root, calls), "dev", project=PROJECT, clock=ManualClock())
    with pytest.raises(Killed):
        ledger.append(Event.APPROVED, ADA)
    assert calls.made == ["rev-parse", "cat-file", "unpack-objects"]
    assert open_ledger(root).tip() is None
    open_ledger(root).append(Event.APPROVED, ADA)
    assert open_ledger(root).state().sequence == 1

"""What a ledger remembers, what that costs, and where it can live."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.git.room import Calls, git, make_repository, objects
from tests.unit.ledger.rig import (
    ADA,
    BO,
    ENDPOINT,
    MODEL,
    PROJECT,
    ManualClock,
    add,
    apply_once,
    done,
    intent,
    open_git,
    open_ledger,
    spec,
)

from mlops.git import GitRepository
from mlops.ledger import Ledger, Outcome, RecordedResult, State
from mlops.ledger.extend import Draft
from mlops.ledger.record import Entry
from mlops.resource import Address, Event, Kind, digest

NAME = "refs/heads/ledger/dev"


def test_before_the_first_record_there_is_nothing(root: Path) -> None:
    ledger = open_ledger(root)
    assert ledger.tip() is None
    assert ledger.state() == State(PROJECT, "dev")
    assert list(ledger.records()) == []
    assert ledger.at(2e9) is None
    assert ledger.lock() is None
    assert ledger.break_lock(BO) is None
    assert ledger.pack() == 0
    assert ledger.verify() == ()
    assert ledger.spec("a" * 64) is None


def test_a_run_is_remembered_with_everything_that_was_told(root: Path) -> None:
    ledger = open_ledger(root)
    goal = apply_once(ledger, 1)
    finished, started = ledger.records()
    assert (started.event, started.sequence, started.specs) == (Event.STARTED, 1, (goal,))
    assert (finished.event, finished.sequence, finished.run) == (Event.FINISHED, 2, started.run)
    for record in (started, finished):
        assert (record.actor, record.reason, record.revision, record.pull_request) == (
            ADA.actor,
            "because",
            ADA.revision,
            "7",
        )
        assert record.digests == {"goal": "g", "effect": "e", "basis": "b"}
        assert (record.gates, record.evidence) == ({"gate": "open"}, {"seen": 1})
    assert finished.results == (done(ENDPOINT, goal),)
    assert finished.commit == git(root, "rev-parse", NAME)
    assert ledger.spec(goal) == spec(1)
    assert ledger.verify() == ()


def test_another_process_reads_the_same(root: Path) -> None:
    ledger = open_ledger(root)
    goal = apply_once(ledger, 1)
    other = open_ledger(root)
    assert other.tip() == ledger.tip()
    assert list(other.records()) == list(ledger.records())
    assert other.specs([goal, "f" * 64, "not a digest"]) == {goal: spec(1)}


def test_records_are_narrowed_by_object_number_and_time(root: Path) -> None:
    clock = ManualClock()
    ledger = open_ledger(root, clock)
    for number in range(3):
        apply_once(ledger, number, ENDPOINT if number != 1 else MODEL)
        clock.pass_(100)
    assert [record.sequence for record in ledger.records(limit=2)] == [6, 5]
    assert [record.sequence for record in ledger.records(address=MODEL)] == [4, 3]
    assert [record.sequence for record in ledger.records(since=clock.now - 200)] == [6, 5, 4, 3]
    assert [record.sequence for record in ledger.records(address=ENDPOINT, limit=3)] == [6, 5, 2]
    assert list(ledger.records(limit=0)) == []


def test_a_moment_names_the_records_behind_what_was_applied(root: Path) -> None:
    clock = ManualClock()
    ledger = open_ledger(root, clock)
    first = apply_once(ledger, 1, MODEL)
    clock.pass_(100)
    second = apply_once(ledger, 2)
    clock.pass_(100)
    third = apply_once(ledger, 3)
    moment = ledger.at(clock.now - 50)
    assert moment is not None
    assert {address: value.goal for address, value in moment.state.applied.items()} == {MODEL: first, ENDPOINT: second}
    assert {number: record.results[0].goal for number, record in moment.sources.items()} == {2: first, 4: second}
    now = ledger.at(clock.now)
    assert now is not None
    assert now.state.applied[ENDPOINT].goal == third
    assert now.sources[2].results[0].goal == first
    assert ledger.at(clock.now - 201) is None


def test_a_moment_in_the_middle_of_a_rollout_has_its_weights(root: Path) -> None:
    clock = ManualClock()
    ledger = open_ledger(root, clock)
    base = apply_once(ledger, 1)
    goal = digest(spec(2))
    with ledger.begin(intent({ENDPOINT: goal})) as run:
        for step, weight in enumerate((0, 10, 50)):
            clock.pass_(10)
            run.step(ENDPOINT, goal, step, spec(2, old=100 - weight, new=weight), done=False)
            clock.pass_(10)
            run.step(ENDPOINT, goal, step, spec(2, old=100 - weight, new=weight), done=True)
        run.finish([done(ENDPOINT, goal)])
    moment = ledger.at(clock.now - 15)
    assert moment is not None
    rollout = moment.state.rollouts[ENDPOINT]
    assert (rollout.goal, rollout.base, rollout.step, rollout.done) == (goal, base, 1, True)
    assert (rollout.weights, rollout.before) == ({"old": 90, "new": 10}, {"old": 100, "new": 0})
    assert ledger.spec(rollout.spec) == spec(2, old=90, new=10)


def test_records_outside_of_a_run_need_no_lock(root: Path) -> None:
    ledger = open_ledger(root)
    with ledger.begin(intent({})) as run:
        ledger.append(Event.DENIED, BO, body={"address": str(ENDPOINT), "goal": "g", "reason": "slow"})
        run.denied(ENDPOINT, "h", "also slow")
        run.finish([])
    assert ledger.state().denied == {ENDPOINT: {"g": "slow", "h": "also slow"}}
    assert ledger.verify() == ()


@pytest.mark.parametrize("event", [Event.STARTED, Event.STEP, Event.FINISHED, Event.PAUSED])
def test_a_runs_events_cannot_be_added_without_one(root: Path, event: Event) -> None:
    with pytest.raises(ValueError, match="belongs to a run"):
        open_ledger(root).append(event, ADA)
    assert git(root, "for-each-ref", "refs/heads/ledger") == ""


def test_a_body_that_does_not_fit_its_event_is_refused_and_nothing_is_written(root: Path) -> None:
    with pytest.raises(ValueError, match="goal"):
        open_ledger(root).append(Event.DENIED, ADA, body={"address": str(ENDPOINT)})
    assert git(root, "for-each-ref", "refs/heads/ledger") == ""


def test_writing_touches_neither_work_tree_nor_index_nor_head(root: Path) -> None:
    (root / "a.txt").write_text("edited\n")
    (root / "b.txt").write_text("staged\n")
    git(root, "add", "b.txt")
    before = {path: path.read_bytes() for path in (root / ".git/index", root / ".git/HEAD", root / "a.txt")}
    ledger = open_ledger(root)
    apply_once(ledger, 1)
    ledger.pack()
    assert {path: path.read_bytes() for path in before} == before
    assert not (root / ".git" / "FETCH_HEAD").exists()
    assert git(root, "status", "--porcelain") == "A  b.txt\n M a.txt" or "A  b.txt" in git(
        root, "status", "--porcelain"
    )


@pytest.mark.parametrize("options", [("--bare",), ("--object-format=sha256",), ("--bare", "--object-format=sha256")])
def test_bare_repositories_and_both_hashes_hold_a_ledger(tmp_path: Path, options: tuple[str, ...]) -> None:
    ledger = open_ledger(make_repository(tmp_path / "x", *options))
    goal = apply_once(ledger, 1)
    assert ledger.state().applied[ENDPOINT].goal == goal
    assert ledger.verify() == ()
    git(tmp_path / "x", "fsck", "--strict")


def test_a_linked_work_tree_shares_the_ledger(root: Path, tmp_path: Path) -> None:
    git(root, "worktree", "add", "-q", str(tmp_path / "linked"), "-b", "other")
    goal = apply_once(open_ledger(tmp_path / "linked"), 1)
    assert open_ledger(root).state().applied[ENDPOINT].goal == goal


def test_without_a_git_identity_the_operating_system_is_the_actor(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("LOGNAME", "dev")
    repository = open_git(root)
    ledger = Ledger.open(repository, "dev", project=PROJECT)
    record = ledger.append(Event.APPROVED, type(ADA)(repository.actor()))
    assert record.actor.name == "dev"
    assert "Git has no user.name" in record.actor.source


def test_a_record_costs_the_same_number_of_objects_and_processes_however_many_there_are(root: Path) -> None:
    calls = Calls()
    ledger = Ledger.open(open_git(root, calls), "dev", project=PROJECT, clock=ManualClock())
    goals = [apply_once(ledger, number, Address(Kind.MODEL, f"m{number % 4}:1")) for number in range(4)]

    def cost(number: int) -> tuple[int, list[str]]:
        before = objects(root)
        calls.made.clear()
        apply_once(ledger, number, Address(Kind.MODEL, "m0:1"))
        return len(objects(root) - before), list(calls.made)

    few = cost(100)
    drafts = [Draft(Entry(Event.APPROVED, ADA, digests={"effect": str(n)}), {}) for n in range(300)]
    add(root, drafts, ManualClock())
    many = cost(101)
    assert ledger.state().sequence == 312
    assert many == few
    assert few[0] <= 11
    assert few[1] == ["unpack-objects", "update-ref"] * 2
    assert set(ledger.specs(goals)) == set(goals)


def test_reading_a_state_again_starts_no_process(root: Path) -> None:
    apply_once(open_ledger(root), 1)
    calls = Calls()
    ledger = Ledger.open(open_git(root, calls), "dev", project=PROJECT)
    for _ in range(3):
        assert ledger.spec(ledger.state().applied[ENDPOINT].goal) is not None
    assert calls.made == ["rev-parse", "cat-file"]


def test_the_same_spec_is_kept_once(root: Path) -> None:
    ledger = open_ledger(root)
    goal = apply_once(ledger, 1)
    apply_once(ledger, 1)
    assert [record.specs for record in ledger.records()] == [(), (), (), (goal,)]


def test_thousands_of_specs_are_one_pack(root: Path) -> None:
    specs = [{"number": number} for number in range(2000)]
    goals = {Address(Kind.MODEL, f"m{n}:1"): digest(one) for n, one in enumerate(specs)}
    ledger = open_ledger(root)
    with ledger.begin(intent(goals, specs)) as run:
        run.finish([done(address, goal) for address, goal in goals.items()])
    assert len(list((root / ".git/objects/pack").glob("*.pack"))) == 1
    assert len(ledger.specs(goals.values())) == 2000
    assert ledger.verify() == ()


def test_a_result_that_is_not_done_is_remembered_with_its_reason(root: Path) -> None:
    ledger = open_ledger(root)
    with ledger.begin(intent({ENDPOINT: "g"})) as run:
        run.fail([RecordedResult(ENDPOINT, "update", Outcome.FAILED, "it did not become healthy")], "one failed")
    record = next(ledger.records())
    assert record.results[0].reason == "it did not become healthy"
    assert record.body == {"reason": "one failed"}


def test_a_repository_can_be_closed_and_used_again(root: Path) -> None:
    with GitRepository.open(root) as repository:
        ledger = Ledger.open(repository, "dev", project=PROJECT, clock=ManualClock())
        apply_once(ledger, 1)
        repository.close()
        assert ledger.state().sequence == 2

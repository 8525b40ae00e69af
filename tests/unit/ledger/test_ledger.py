"""What a ledger remembers, where it can live, and what it refuses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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

from mlops.errors import InvalidRepository, MlopsError
from mlops.git import GitRepository
from mlops.ledger import CorruptLedger, Ledger, Outcome, RecordedResult, State
from mlops.ledger.extend import Draft
from mlops.ledger.record import Entry
from mlops.resource import Address, Event, Kind, digest

NAME = "refs/heads/ledger/dev"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "r")


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


# What is refused


def test_a_foreign_branch_of_that_name_is_refused_and_left_alone(root: Path) -> None:
    git(root, "branch", "ledger/dev")
    before = git(root, "rev-parse", NAME)
    for use in (Ledger.tip, Ledger.state, lambda ledger: ledger.begin(intent({}))):
        with pytest.raises(CorruptLedger, match="Not a ledger"):
            use(open_ledger(root))
    assert git(root, "rev-parse", NAME) == before


def test_a_branch_that_points_to_nothing_is_refused(root: Path) -> None:
    (root / ".git/refs/heads/ledger").mkdir(parents=True)
    (root / ".git" / NAME).write_text("1" * 40 + "\n")
    with pytest.raises(CorruptLedger, match="not a commit"):
        open_ledger(root).begin(intent({}))


def test_the_ledger_of_another_project_is_refused(root: Path) -> None:
    apply_once(open_ledger(root), 1)
    with pytest.raises(CorruptLedger, match="another project") as caught:
        Ledger.open(open_git(root), "dev", project="other").begin(intent({}))
    assert PROJECT in caught.value.diagnostics[0].detail


def test_the_ledger_of_another_stage_is_refused(root: Path) -> None:
    apply_once(open_ledger(root), 1)
    git(root, "branch", "ledger/prod", "ledger/dev")
    with pytest.raises(CorruptLedger, match='stage "dev"'):
        open_ledger(root, stage="prod").state()


def _rewrite(root: Path, name: str, old: str, new: str) -> None:
    """Replace text in a file of the tip, as somebody with Git and bad intent would."""
    content = git(root, "show", f"{NAME}:{name}")
    assert old in content
    blob = git(root, "hash-object", "-w", "--stdin", data=content.replace(old, new) + "\n")
    listing = git(root, "ls-tree", NAME).splitlines()
    changed = [f"100644 blob {blob}\t{name}" if line.endswith(f"\t{name}") else line for line in listing]
    tree = git(root, "mktree", data="\n".join(changed) + "\n")
    git(root, "update-ref", NAME, git(root, "commit-tree", tree, "-p", f"{NAME}^", "-m", "x"))


@pytest.mark.parametrize("name", ["record.json", "state.json"])
def test_a_newer_format_is_refused_and_says_so(root: Path, name: str) -> None:
    apply_once(open_ledger(root), 1)
    _rewrite(root, name, '"format": 1', '"format": 2')
    with pytest.raises(CorruptLedger, match="newer than this mlops"):
        open_ledger(root).begin(intent({}))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("record.json", '"sequence": 2', '"sequence": 7'),
        ("state.json", '"sequence": 2,\n"stage"', '"sequence": 7,\n"stage"'),
        ("state.json", '"run": null', '"run": 5'),
        ("state.json", '{"applied"', '["applied"'),
        ("record.json", '"event": "finished"', '"event": "celebrated"'),
    ],
)
def test_a_tip_that_was_edited_is_refused(root: Path, name: str, old: str, new: str) -> None:
    apply_once(open_ledger(root), 1)
    _rewrite(root, name, old, new)
    with pytest.raises(CorruptLedger):
        open_ledger(root).state()


def test_a_state_that_records_do_not_add_up_to_is_found_by_replaying(root: Path) -> None:
    ledger = open_ledger(root)
    goal = apply_once(ledger, 1)
    _rewrite(root, "state.json", f'"goal": "{goal}"', f'"goal": "{"f" * 64}"')
    assert open_ledger(root).state().applied[ENDPOINT].goal == "f" * 64
    problems = open_ledger(root).verify()
    assert [problem.summary for problem in problems] == ["The ledger does not add up"]


def test_records_that_were_cut_out_are_noticed(root: Path) -> None:
    ledger = open_ledger(root)
    for number in range(3):
        apply_once(ledger, number)
    tree = git(root, "rev-parse", f"{NAME}^{{tree}}")
    git(root, "update-ref", NAME, git(root, "commit-tree", tree, "-p", f"{NAME}~3", "-m", "x"))
    with pytest.raises(CorruptLedger, match="counts 6 records and holds 4"):
        list(open_ledger(root).records())
    with pytest.raises(CorruptLedger, match="counts 6 records and holds 4"):
        open_ledger(root).at(0)


def test_a_spec_that_was_exchanged_is_refused(root: Path) -> None:
    goal = apply_once(open_ledger(root), 1)
    blob = git(root, "hash-object", "-w", "--stdin", data='{"number":666}')
    shard = git(root, "mktree", data=f"100644 blob {blob}\t{goal[2:]}.json\n")
    specs = git(root, "mktree", data=f"040000 tree {shard}\t{goal[:2]}\n")
    listing = [line for line in git(root, "ls-tree", NAME).splitlines() if not line.endswith("\tspecs")]
    tree = git(root, "mktree", data="\n".join([*listing, f"040000 tree {specs}\tspecs"]) + "\n")
    git(root, "update-ref", NAME, git(root, "commit-tree", tree, "-p", f"{NAME}^", "-m", "x"))
    with pytest.raises(CorruptLedger, match="another digest"):
        open_ledger(root).spec(goal)


@pytest.mark.parametrize("stage", ["", "../dev", "a b", "-x", "a.lock", "a/b", "a\nb", "x" * 64])
def test_a_stage_that_cannot_name_a_branch_is_refused(root: Path, stage: str) -> None:
    with pytest.raises(InvalidRepository, match="Not the name of a stage"):
        open_ledger(root, stage=stage)


@pytest.mark.parametrize("remote", ["origin", "--upload-pack=x", ""])
def test_a_remote_that_the_clone_does_not_have_is_refused(root: Path, remote: str) -> None:
    with pytest.raises(InvalidRepository, match="No such remote"):
        open_ledger(root, remote=remote)


@contextmanager
def _nobody() -> Iterator[None]:
    """Be a user whom permissions stop, where the tests run as root, whom they do not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_repository_that_cannot_be_written_can_be_read_and_says_why_it_cannot_be_locked(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    apply_once(open_ledger(root), 1)
    everything = (root, *root.rglob("*"))
    for path in everything:
        path.chmod(0o555)
    for path in tmp_path, tmp_path.parent, tmp_path.parent.parent:
        path.chmod(0o755)
    trusting = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    with _nobody():
        environment = os.environ | trusting | {"GIT_CONFIG_GLOBAL": os.devnull}
        with GitRepository.open(root, environment=environment) as repository:
            ledger = Ledger.open(repository, "dev", project=PROJECT, clock=ManualClock())
            assert ledger.state().sequence == 2
            with pytest.raises(MlopsError, match="The repository cannot be written"):
                ledger.begin(intent({}))
    for path in everything:
        path.chmod(0o755)


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

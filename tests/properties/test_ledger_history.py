"""Whatever happened, under whatever clocks: history tells what replaying the records tells."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.git.room import git
from tests.unit.ledger.rig import ADA, ELSEWHERE, PROJECT, ManualClock, spec

from mlops.git import GitRepository
from mlops.ledger import Ledger, Outcome, RecordedResult, State
from mlops.ledger.branch import Branch
from mlops.ledger.extend import Draft, make_specs
from mlops.ledger.fold import fold
from mlops.ledger.record import Entry
from mlops.ledger.state_json import process_to_json
from mlops.resource import JSON, Address, Event, Kind, digest

ADDRESSES = [Address(Kind.ENDPOINT, "a@c"), Address(Kind.ENDPOINT, "b@c"), Address(Kind.MODEL, "m:1")]
SPECS = [spec(number) for number in range(3)]
addresses = st.sampled_from(ADDRESSES)
goals = st.sampled_from([digest(one) for one in SPECS])
jumps = st.one_of(st.floats(0, 100), st.floats(-1e7, 1e7), st.just(0.0))


@dataclass(frozen=True)
class Told:
    """One entry and how far the wall clock jumped before it."""

    entry: Entry
    jump: float


@st.composite
def _results(draw: st.DrawFn) -> tuple[RecordedResult, ...]:
    found = []
    for address in draw(st.lists(addresses, unique=True)):
        action = draw(st.sampled_from(["create", "update", "delete", "none"]))
        goal = None if action == "delete" else draw(st.one_of(st.none(), goals))
        outcome = draw(st.sampled_from(Outcome))
        found.append(RecordedResult(address, action, outcome, draw(st.text(max_size=5)), goal))
    return tuple(found)


@st.composite
def _told_inside(draw: st.DrawFn, run: str) -> Entry:
    address = draw(addresses)
    if draw(st.booleans()):
        body: dict[str, JSON] = {"address": str(address), "goal": draw(goals), "reason": draw(st.text(max_size=5))}
        return Entry(Event.DENIED, ADA, run, body=body)
    weights: dict[str, JSON] = {"new": draw(st.integers(0, 100))}
    step: dict[str, JSON] = {
        "address": str(address),
        "goal": draw(goals),
        "step": draw(st.integers(0, 3)),
        "done": draw(st.booleans()),
        "spec": draw(goals),
        "weights": weights,
    }
    return Entry(Event.STEP, ADA, run, body=step)


@st.composite
def _run(draw: st.DrawFn, number: int) -> list[Entry]:
    """A whole run; the results are whatever an engine could tell."""
    run = f"run-{number}"
    intended: dict[str, JSON] = {str(a): draw(st.one_of(st.none(), goals)) for a in draw(st.lists(addresses))}
    body: dict[str, JSON] = {"process": process_to_json(ELSEWHERE, 1.0), "intended": intended}
    told = [draw(_told_inside(run)) for _ in range(draw(st.integers(0, 3)))]
    end = draw(st.sampled_from([Event.FINISHED, Event.FAILED, Event.INTERRUPTED]))
    return [Entry(Event.STARTED, ADA, run, body=body), *told, Entry(end, ADA, run, results=draw(_results()))]


@st.composite
def _outside(draw: st.DrawFn) -> Entry:
    address = str(draw(addresses))
    observed: dict[str, JSON] = {address: draw(st.one_of(st.none(), st.just({"reason": "edited"})))}
    return draw(
        st.sampled_from(
            [
                Entry(Event.APPROVED, ADA, digests={"effect": "e"}),
                Entry(Event.OBSERVED, ADA, body={"observed": observed}),
                Entry(Event.ALLOWED, ADA, body={"address": address, "goal": draw(st.one_of(st.none(), goals))}),
            ]
        )
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Told]:
    """Runs, and records outside of runs between and within them, under a wall clock that jumps."""
    entries: list[Entry] = []
    for number in range(draw(st.integers(1, 3))):
        for entry in draw(_run(number)):
            entries.append(entry)
            if draw(st.integers(0, 3)) == 0:
                entries.append(draw(_outside()))
    return [Told(entry, draw(jumps)) for entry in entries]


@contextmanager
def _ledger(history: Sequence[Told], clock: ManualClock) -> Iterator[tuple[Ledger, Path]]:
    """A real ledger that holds this history."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        git(root, "init", "-q", "--bare")
        with GitRepository.open(root) as repository:
            branch = Branch(repository, PROJECT, "dev", None, clock)
            for told in history:
                clock.now += told.jump
                drafts = (Draft(told.entry, make_specs(SPECS)),)

                def make(_state: State, drafts: Sequence[Draft] = drafts) -> Sequence[Draft]:
                    return drafts

                branch.append(make)
            yield Ledger.open(repository, "dev", project=PROJECT, clock=clock), root


@given(history=histories(), data=st.data())
@settings(max_examples=25)
def test_what_held_at_a_time_is_what_replaying_until_then_gives(history: list[Told], data: st.DataObject) -> None:
    clock = ManualClock()
    with _ledger(history, clock) as (ledger, _root):
        records = list(ledger.records())[::-1]
        times = [record.time for record in records]
        assert times == sorted(times)
        assert [record.sequence for record in records] == list(range(1, len(history) + 1))
        assert [record.entry.event for record in records] == [told.entry.event for told in history]
        for _ in range(3):
            offset = data.draw(st.sampled_from([-0.001, 0.0, 0.001]))
            time = data.draw(st.sampled_from(times)) + offset
            state = State(PROJECT, "dev")
            until = [record for record in records if record.time <= time]
            for record in until:
                state = fold(state, record)
            moment = ledger.at(time)
            if not until:
                assert moment is None
                continue
            assert moment is not None
            assert moment.record == until[-1]
            assert moment.state == state
            sequences = {applied.sequence for applied in state.applied.values()}
            assert sequences <= set(moment.sources)
            assert all(moment.sources[number] == records[number - 1] for number in sequences)
        assert ledger.verify() == ()


@given(history=histories())
@settings(max_examples=15)
def test_whatever_is_told_git_finds_sound_and_packing_loses_nothing(history: list[Told]) -> None:
    clock = ManualClock()
    many = [Told(Entry(Event.APPROVED, ADA), 0.0)] * 2
    with _ledger([*history, *many], clock) as (ledger, root):
        before = list(ledger.records())
        git(root, "fsck", "--strict")
        git(root, "gc", "-q", "--prune=now")
        assert list(ledger.records()) == before
        assert ledger.specs(digest(one) for one in SPECS) == {digest(one): one for one in SPECS}


@given(st.lists(st.text(), min_size=6, max_size=6))
@settings(max_examples=15)
def test_no_text_can_forge_a_record_or_break_one(texts: list[str]) -> None:
    body: dict[str, JSON] = {"address": str(ADDRESSES[0]), "goal": texts[0], "reason": texts[1]}
    origin = type(ADA)(type(ADA.actor)(texts[2], texts[3], texts[4]), texts[5])
    clock = ManualClock()
    with _ledger([Told(Entry(Event.DENIED, origin, body=body), 0.0)], clock) as (ledger, root):
        (record,) = ledger.records()
        assert (record.body, record.entry.origin) == (body, origin)
        assert ledger.state().denied == {ADDRESSES[0]: {texts[0]: texts[1]}}
        git(root, "fsck", "--strict")
        assert git(root, "log", "--format=%(trailers:only)", "ledger/dev").count("Mlops-Record:") == 1

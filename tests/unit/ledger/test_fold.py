"""What each event does to the state."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.ledger.rig import ADA, BO, ELSEWHERE, ENDPOINT, MODEL, done

from mlops.ledger import Outcome, RecordedResult, State
from mlops.ledger.fields import Malformed
from mlops.ledger.fold import fold
from mlops.ledger.record import Entry, Record
from mlops.ledger.state import Applied
from mlops.ledger.state_json import process_to_json
from mlops.resource import JSON, Event

EMPTY = State("p", "dev")


def _after(*entries: Entry, state: State = EMPTY) -> State:
    for entry in entries:
        number = state.sequence + 1
        state = fold(state, Record(str(number), number, 1000.0 + number, "p", "dev", entry))
    return state


def _started(run: str = "r", **goals: JSON) -> Entry:
    names = {"endpoint": str(ENDPOINT), "model": str(MODEL)}
    intended: dict[str, JSON] = {names[key]: goal for key, goal in goals.items()}
    body: dict[str, JSON] = {"process": process_to_json(ELSEWHERE, 5.0), "intended": intended}
    return Entry(Event.STARTED, ADA, run, body=body)


def _ended(*results: RecordedResult, event: Event = Event.FINISHED, run: str = "r") -> Entry:
    return Entry(event, ADA, run, results=results)


def _step(step: int, goal: str = "g2", *, is_done: bool = True, **weights: JSON) -> Entry:
    body: dict[str, JSON] = {
        "address": str(ENDPOINT),
        "goal": goal,
        "step": step,
        "done": is_done,
        "spec": f"s{step}",
        "weights": weights,
    }
    return Entry(Event.STEP, ADA, "r", body=body)


def _denied(goal: str) -> Entry:
    return Entry(Event.DENIED, ADA, body={"address": str(ENDPOINT), "goal": goal, "reason": "it was slow"})


APPLIED = _after(_started(endpoint="g1"), _ended(done(ENDPOINT, "g1", "create")))


def test_a_started_run_is_open_and_its_revision_is_the_last() -> None:
    state = _after(_started(endpoint="g1", model=None))
    assert state.run is not None
    assert (state.run.id, state.run.process, state.run.sequence) == ("r", ELSEWHERE, 1)
    assert state.run.intended == {ENDPOINT: "g1", MODEL: None}
    assert state.revision == ADA.revision


def test_what_is_done_is_applied_and_good_and_the_run_is_closed() -> None:
    assert APPLIED.run is None
    assert APPLIED.applied == {ENDPOINT: Applied("g1", 1002.0, 2, "create")}
    assert APPLIED.good == {ENDPOINT: "g1"}
    assert APPLIED.intended == {}


def test_the_same_goal_again_keeps_since_when_it_is_applied() -> None:
    state = _after(_started(), _ended(done(ENDPOINT, "g1")), state=APPLIED)
    assert state.applied == {ENDPOINT: Applied("g1", 1002.0, 4, "update")}


def test_what_is_deleted_is_gone() -> None:
    state = _after(_started(), _ended(done(ENDPOINT, None, "delete")), state=APPLIED)
    assert (state.applied, state.good) == ({}, {})


@pytest.mark.parametrize(
    "outcome", [Outcome.FAILED, Outcome.SKIPPED, Outcome.WAITING, Outcome.BLOCKED, Outcome.CANCELLED]
)
def test_what_is_not_done_leaves_what_was_applied(outcome: Outcome) -> None:
    result = RecordedResult(ENDPOINT, "update", outcome, "it did not work", "g2")
    state = _after(_started(), _ended(result, event=Event.FAILED), state=APPLIED)
    assert state.applied == APPLIED.applied
    assert state.good == APPLIED.good


def test_a_step_begins_a_rollout_from_what_was_good_and_moves_on() -> None:
    state = _after(_started(), _step(0, old=100, new=0), state=APPLIED)
    rollout = state.rollouts[ENDPOINT]
    assert (rollout.goal, rollout.base, rollout.step, rollout.started) == ("g2", "g1", 0, 1004.0)
    state = _after(_step(1, is_done=False, old=90, new=10), state=state)
    rollout = state.rollouts[ENDPOINT]
    assert (rollout.step, rollout.done, rollout.started) == (1, False, 1004.0)
    assert (rollout.before, rollout.weights) == ({"old": 100, "new": 0}, {"old": 90, "new": 10})


def test_a_step_that_begins_says_that_the_one_before_it_was_good() -> None:
    begun = _step(0, is_done=False, old=100, new=0), _step(1, is_done=False, old=90, new=10)
    state = _after(_started(), *begun, state=APPLIED)
    assert state.rollouts[ENDPOINT].before == {"old": 100, "new": 0}


def test_another_goal_in_the_middle_of_a_rollout_keeps_the_base() -> None:
    state = _after(_started(), _step(1), _step(0, "g3"), state=APPLIED)
    rollout = state.rollouts[ENDPOINT]
    assert (rollout.goal, rollout.base, rollout.started) == ("g3", "g1", 1005.0)


def test_the_first_rollout_of_an_object_has_no_base() -> None:
    assert _after(_started(), _step(0)).rollouts[ENDPOINT].base is None


def test_a_pause_lasts_until_the_next_step() -> None:
    paused = Entry(Event.PAUSED, ADA, "r", body={"address": str(ENDPOINT), "until": "2027-01-01T00:00:00Z"})
    state = _after(_started(), _step(1), paused, state=APPLIED)
    assert state.rollouts[ENDPOINT].paused_until == 1798761600.0
    assert state.run is not None
    assert _after(_step(2), state=state).rollouts[ENDPOINT].paused_until is None


def test_a_rollout_ends_when_it_is_done_or_has_returned_and_not_when_it_only_failed() -> None:
    under_way = _after(_started(), _step(1), state=APPLIED)
    failed = RecordedResult(ENDPOINT, "update", Outcome.FAILED, "bad")
    assert _after(_ended(done(ENDPOINT, "g2")), state=under_way).rollouts == {}
    assert _after(_ended(replace(failed, goal="g1"), event=Event.FAILED), state=under_way).rollouts == {}
    for goal in (None, "g2"):
        state = _after(_ended(replace(failed, goal=goal), event=Event.FAILED), state=under_way)
        assert state.rollouts == under_way.rollouts


def test_a_bad_goal_is_remembered_until_it_is_allowed() -> None:
    state = _after(_denied("g2"), _denied("g3"), state=APPLIED)
    assert state.denied == {ENDPOINT: {"g2": "it was slow", "g3": "it was slow"}}
    allowed = Entry(Event.ALLOWED, BO, body={"address": str(ENDPOINT), "goal": "g2"})
    assert _after(allowed, state=state).denied == {ENDPOINT: {"g3": "it was slow"}}
    everything = Entry(Event.ALLOWED, BO, body={"address": str(ENDPOINT), "goal": None})
    assert _after(everything, state=state).denied == {}


def test_a_bad_goal_that_was_done_after_all_is_bad_no_more() -> None:
    state = _after(_denied("g2"), _denied("g3"), _started(), _ended(done(ENDPOINT, "g2")), state=APPLIED)
    assert state.denied == {ENDPOINT: {"g3": "it was slow"}}


def test_what_was_observed_stays_until_it_is_mended() -> None:
    seen: dict[str, JSON] = {"reason": "edited by hand"}
    state = _after(Entry(Event.OBSERVED, ADA, body={"observed": {str(ENDPOINT): seen, str(MODEL): seen}}))
    assert state.observed == {ENDPOINT: seen, MODEL: seen}
    gone = Entry(Event.OBSERVED, ADA, body={"observed": {str(MODEL): None}})
    assert _after(gone, state=state).observed == {ENDPOINT: seen}
    assert _after(_started(), _ended(done(ENDPOINT, "g1")), gone, state=state).observed == {}


def test_what_an_interrupted_run_intended_is_kept_until_somebody_does_it() -> None:
    cut = _ended(RecordedResult(MODEL, "create", Outcome.FAILED, "no"), event=Event.INTERRUPTED)
    state = _after(_started(endpoint="g2", model="m"), cut, state=APPLIED)
    assert state.intended == {ENDPOINT: "g2"}
    assert state.run is None
    state = _after(_started(), _ended(), state=state)
    assert state.intended == {ENDPOINT: "g2"}
    assert _after(_started(), _ended(done(ENDPOINT, "g2", "none")), state=state).intended == {}


def test_what_was_cancelled_may_have_happened_so_it_stays_intended() -> None:
    cut = _ended(RecordedResult(ENDPOINT, "update", Outcome.CANCELLED), event=Event.INTERRUPTED)
    assert _after(_started(endpoint="g2"), cut).intended == {ENDPOINT: "g2"}


def test_a_run_that_told_its_failures_intends_nothing_more() -> None:
    result = RecordedResult(ENDPOINT, "update", Outcome.FAILED, "bad")
    assert _after(_started(endpoint="g2"), _ended(result, event=Event.FAILED)).intended == {}


def test_an_approval_changes_nothing_but_the_count() -> None:
    state = _after(Entry(Event.APPROVED, BO, digests={"effect": "e"}), state=APPLIED)
    assert state == replace(APPLIED, sequence=3, time=1003.0)


@pytest.mark.parametrize(
    "entries",
    [
        (_started(), _started("other")),
        (_ended(),),
        (_started(), _ended(run="other")),
        (Entry(Event.STARTED, ADA),),
        (Entry(Event.STEP, ADA, "r", body={"address": str(ENDPOINT)}),),
        (Entry(Event.PAUSED, ADA, "r", body={"address": str(ENDPOINT), "until": "2027-01-01T00:00:00Z"}),),
        (Entry(Event.DENIED, ADA, body={"address": "nonsense", "goal": "g", "reason": ""}),),
        (Entry(Event.DENIED, ADA, body={"address": str(ENDPOINT), "goal": 5, "reason": ""}),),
        (Entry(Event.OBSERVED, ADA, body={"observed": {str(ENDPOINT): "text"}}),),
        (_step(0, old="many"),),
    ],
)
def test_an_event_that_does_not_fit_is_refused(entries: tuple[Entry, ...]) -> None:
    with pytest.raises(Malformed):
        _after(*entries)

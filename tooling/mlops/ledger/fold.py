"""What one more record does to the state: a pure function, so that every state can be replayed and checked.

What each event holds in its body:

| event     | body                                                          | does                       |
|-----------|---------------------------------------------------------------|----------------------------|
| started   | process, intended {address: goal or null}                     | opens the run: the lock    |
| step      | address, goal, step, done, spec, weights {live deployment: %} | moves a rollout            |
| paused    | address, until                                                | stops a rollout for a time |
| denied    | address, goal, reason                                         | remembers a bad goal       |
| allowed   | address, goal or null                                         | forgets it, or them all    |
| observed  | observed {address: what differs, or null}                     | keeps what drift showed    |
| approved  | any                                                           | nothing: it is looked up   |
| rotated   | address, key, revoked                                         | nothing: it is looked up   |
| finished, failed, interrupted | cause, where another run closes it        | closes the run             |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from mlops.ledger.fields import Fields, Malformed
from mlops.ledger.record import Outcome, Record, RecordedResult
from mlops.ledger.record_json import read_address
from mlops.ledger.state import Applied, OpenRun, Progress, State
from mlops.ledger.state_json import read_goals, read_process, read_weights
from mlops.resource import Address, Event


def fold(state: State, record: Record) -> State:
    """The state after one more record.

    Args:
        state: The state before it.
        record: The next record.

    Raises:
        Malformed: The body is not what its event asks for.
    """
    after = replace(state, sequence=record.sequence, time=record.time)
    match record.event:
        case Event.STARTED:
            after = _started(after, record)
        case Event.STEP:
            after = _step(after, record)
        case Event.PAUSED:
            after = _paused(after, record)
        case Event.DENIED:
            after = _denied(after, record)
        case Event.ALLOWED:
            after = _allowed(after, record)
        case Event.OBSERVED:
            after = _observed(after, record)
        case Event.APPROVED | Event.ROTATED:
            pass
        case Event.FINISHED | Event.FAILED | Event.INTERRUPTED:
            after = _closed(after, record)
        case _:
            assert_never(record.event)
    return after


def _address(record: Record) -> Address:
    return read_address(Fields(dict(record.body), "the body").text("address"))


def _started(state: State, record: Record) -> State:
    if record.run is None or state.run is not None:
        raise Malformed("a run started without an id, or while another one was open")
    fields = Fields(dict(record.body), "the body")
    process, uptime = read_process(fields.fields("process"))
    run = OpenRun(
        id=record.run,
        actor=record.actor,
        process=process,
        started=record.time,
        uptime=uptime,
        sequence=record.sequence,
        intended=read_goals(fields.mapping("intended")),
    )
    return replace(state, run=run, revision=record.revision)


def _step(state: State, record: Record) -> State:
    fields = Fields(dict(record.body), "the body")
    address, goal = read_address(fields.text("address")), fields.text("goal")
    step, done, spec = fields.integer("step"), fields.boolean("done"), fields.text("spec")
    weights = read_weights(fields.mapping("weights"))
    last = state.rollouts.get(address)
    same = last is not None and last.goal == goal
    before = last.before if last is not None else {}
    if last is not None and (last.done or (same and step > last.step)):
        before = last.weights
    progress = Progress(
        goal=goal,
        base=state.good.get(address),
        step=step,
        done=done,
        spec=spec,
        weights=weights,
        before=before,
        started=last.started if last is not None and same else record.time,
    )
    return replace(state, rollouts={**state.rollouts, address: progress})


def _paused(state: State, record: Record) -> State:
    address = _address(record)
    progress = state.rollouts.get(address)
    if progress is None:
        raise Malformed(f"{address} has no rollout that could be paused")
    until = Fields(dict(record.body), "the body").moment("until")
    return replace(state, rollouts={**state.rollouts, address: replace(progress, paused_until=until)})


def _denied(state: State, record: Record) -> State:
    fields = Fields(dict(record.body), "the body")
    address, goal, reason = _address(record), fields.text("goal"), fields.text("reason")
    goals = {**state.denied.get(address, {}), goal: reason}
    return replace(state, denied={**state.denied, address: goals})


def _allowed(state: State, record: Record) -> State:
    goal = Fields(dict(record.body), "the body").text_or_none("goal")
    return replace(state, denied=_forgiven(state.denied, _address(record), goal))


def _forgiven(
    denied: Mapping[Address, Mapping[str, str]], address: Address, goal: str | None
) -> Mapping[Address, Mapping[str, str]]:
    """Without one bad goal of an address, or without all of them (None)."""
    left = {key: why for key, why in denied.get(address, {}).items() if goal is not None and key != goal}
    others = {key: goals for key, goals in denied.items() if key != address}
    return {**others, address: left} if left else others


def _observed(state: State, record: Record) -> State:
    observed = dict(state.observed)
    for text, found in Fields(dict(record.body), "the body").mapping("observed").items():
        address = read_address(text)
        if found is None:
            observed.pop(address, None)
        elif isinstance(found, dict):
            observed[address] = found
        else:
            raise Malformed(f"what was observed of {text} is neither an object nor null")
    return replace(state, observed=observed)


def _closed(state: State, record: Record) -> State:
    if state.run is None or state.run.id != record.run:
        raise Malformed(f"run {record.run} ended, but was not open")
    known = {result.address for result in record.results if result.outcome is not Outcome.CANCELLED}
    intended = dict(state.intended)
    if record.event is Event.INTERRUPTED:
        intended.update((address, goal) for address, goal in state.run.intended.items() if address not in known)
    after = _Results(replace(state, run=None, intended=intended))
    for result in record.results:
        after.take(result, record)
    return after.state()


class _Results:
    """Takes over many results with one copy of each mapping."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._applied = dict(state.applied)
        self._good = dict(state.good)
        self._denied = state.denied
        self._rollouts = dict(state.rollouts)
        self._observed = dict(state.observed)
        self._intended = dict(state.intended)

    def take(self, result: RecordedResult, record: Record) -> None:
        """What became of one change."""
        address, goal = result.address, result.goal
        match result.outcome:
            case Outcome.DONE if result.action == "delete":
                self._settled(address)
                self._applied.pop(address, None)
                self._good.pop(address, None)
            case Outcome.DONE if goal is not None:
                self._settled(address)
                self._apply(result, goal, record)
            case Outcome.FAILED if goal is not None:
                self._returned(address, goal)
            case _:
                pass

    def _returned(self, address: Address, goal: str) -> None:
        """A failed change after which another goal than that of its rollout is live has put the base back."""
        rollout = self._rollouts.get(address)
        if rollout is not None and rollout.goal != goal:
            del self._rollouts[address]

    def _settled(self, address: Address) -> None:
        self._rollouts.pop(address, None)
        self._observed.pop(address, None)
        self._intended.pop(address, None)

    def _apply(self, result: RecordedResult, goal: str, record: Record) -> None:
        address = result.address
        last = self._applied.get(address)
        since = last.since if last is not None and last.goal == goal else record.time
        self._applied[address] = Applied(goal, since, record.sequence, result.action)
        self._good[address] = goal
        if goal in self._denied.get(address, {}):
            self._denied = _forgiven(self._denied, address, goal)

    def state(self) -> State:
        """The state with all results."""
        return replace(
            self._state,
            applied=self._applied,
            good=self._good,
            denied=self._denied,
            rollouts=self._rollouts,
            observed=self._observed,
            intended=self._intended,
        )

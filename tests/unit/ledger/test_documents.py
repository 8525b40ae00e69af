"""Records and states as they are written, and how strictly they are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.ledger.rig import ADA, ELSEWHERE, ENDPOINT, MODEL, done

from mlops.ledger import Applied, OpenRun, Outcome, Progress, RecordedResult, State
from mlops.ledger.clock import from_text, to_text
from mlops.ledger.fields import Malformed
from mlops.ledger.record import Entry, Record
from mlops.ledger.record_json import Newer, read_record, record_to_json
from mlops.ledger.state_json import read_state, state_to_json
from mlops.resource import Event

RECORD = Record(
    "c",
    3,
    1_800_000_000.123,
    "p",
    "dev",
    Entry(
        Event.FAILED,
        ADA,
        "run",
        {"goal": "g"},
        {"gate": [1, None]},
        {"seen": 1.5},
        (done(ENDPOINT, "g1"), RecordedResult(MODEL, "create", Outcome.SKIPPED, "\x1b[31m\nred", None)),
        ("d" * 64,),
        {"reason": "x"},
    ),
)
STATE = State(
    "p",
    "dev",
    3,
    1_800_000_000.123,
    ADA.revision,
    {ENDPOINT: Applied("g1", 1.5, 2, "create"), MODEL: Applied("m", 2.0, 3, "update")},
    {ENDPOINT: "g1", MODEL: "an older one"},
    {ENDPOINT: {"bad": "why"}},
    {ENDPOINT: Progress("g2", None, 1, False, "s", {"new": 10}, {"old": 100}, 3.25, 4.0)},
    {MODEL: {"reason": "edited"}},
    {MODEL: None},
    OpenRun("run", ADA.actor, ELSEWHERE, 5.0, 6.5, 3, {ENDPOINT: "g2", MODEL: None}),
)


def _written(value: object) -> Any:  # noqa: ANN401 - whatever JSON gives back
    return json.loads(json.dumps(value))


def test_a_record_is_read_as_it_was_written() -> None:
    assert read_record("c", _written(record_to_json(RECORD))) == RECORD


def test_a_state_is_read_as_it_was_written() -> None:
    assert read_state(_written(state_to_json(STATE))) == STATE
    assert read_state(_written(state_to_json(State("p", "dev")))) == State("p", "dev")


@pytest.mark.parametrize("make", [lambda: record_to_json(RECORD), lambda: state_to_json(STATE)])
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda value: value.update(extra=1), Malformed),
        (lambda value: value.pop("time"), Malformed),
        (lambda value: value.update(time="yesterday"), Malformed),
        (lambda value: value.update(time="2026-01-01T00:00:00"), Malformed),
        (lambda value: value.update(sequence="3"), Malformed),
        (lambda value: value.update(sequence=True), Malformed),
        (lambda value: value.update(project=None), Malformed),
        (lambda value: value.update(revision=[]), Malformed),
        (lambda value: value.update(format=0), Malformed),
        (lambda value: value.update(format=2), Newer),
    ],
)
def test_what_is_not_as_its_format_says_is_refused(
    make: Callable[[], dict[str, Any]], change: Callable[[dict[str, Any]], None], problem: type[Malformed]
) -> None:
    value = _written(make())
    change(value)
    read = read_state if "applied" in value else lambda found: read_record("c", found)
    with pytest.raises(problem):
        read(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("applied", {"endpoint/x@y": {"goal": "g"}}),
        ("applied", {"endpoint/x@y": {"goal": 1, "since": "2026-01-01T00:00:00Z", "sequence": 1, "action": "x"}}),
        ("applied", {"nonsense": {"goal": "g", "since": "2026-01-01T00:00:00Z", "sequence": 1, "action": "x"}}),
        ("good", {"endpoint/x@y": None}),
        ("denied", {"endpoint/x@y": ["g"]}),
        ("rollouts", {"endpoint/x@y": {}}),
        ("observed", {"endpoint/x@y": 1}),
        ("intended", {"endpoint/x@y": 1}),
        ("run", {}),
    ],
)
def test_each_part_of_a_state_is_read_strictly(key: str, value: object) -> None:
    with pytest.raises(Malformed):
        read_state({**_written(state_to_json(STATE)), key: value})


@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_a_document_of_another_shape_is_refused(value: object) -> None:
    for read in (read_state, lambda found: read_record("c", found)):
        with pytest.raises(Malformed):
            read(value)


@pytest.mark.parametrize(
    ("key", "value"), [("event", "applauded"), ("results", {}), ("actor", None), ("digests", {"a": 1})]
)
def test_each_part_of_a_record_is_read_strictly(key: str, value: object) -> None:
    with pytest.raises(Malformed):
        read_record("c", {**_written(record_to_json(RECORD)), key: value})


def test_an_outcome_that_there_is_not_is_refused() -> None:
    value = _written(record_to_json(replace(RECORD)))
    value["results"][0]["outcome"] = "splendid"
    with pytest.raises(Malformed, match="splendid"):
        read_record("c", value)


@pytest.mark.parametrize("moment", [0.0, 0.001, 1_799_999_999.999, 1_800_000_000.1, 4_102_444_800.007])
def test_times_survive_in_milliseconds(moment: float) -> None:
    assert from_text(to_text(moment)) == moment

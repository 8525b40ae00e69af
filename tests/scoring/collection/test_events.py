"""Lines are CloudEvents 1.0, whatever is in them; the SDK of the CloudEvents project reads every one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scoring.environments import run_in

from mlops_scoring.collection.events import Envelope, Event, Unreadable, fit_text, parse_payload, to_json, written_time

READ = """
import json, sys
from cloudevents.core.bindings.http import HTTPMessage
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

def plain(value):
    return value.isoformat() if hasattr(value, "isoformat") else value.decode() if isinstance(value, bytes) else value

events = [JSONFormat().read(CloudEvent, line) for line in open(sys.argv[1], "rb")]
print(json.dumps([
    {**{k: plain(v) for k, v in event.get_attributes().items()}, "data": plain(event.get_data())} for event in events
]))
"""


def test_the_sdk_of_cloudevents_reads_what_is_written(collecting_python: Path, tmp_path: Path) -> None:
    envelope = Envelope(("a b", "blue/1"), {"modelname": "fraud", "modelversion": "3"})
    written = [
        Event("model_inputs", [{"a": 1, "ü": None}], 1_700_000_000.25, {"correlationid": "r-1", "agent": ""}),
        Event("request", "text\n", 0, {"correlationid": "line\r\nbreak \x85", "httpstatus": 200}, "text/plain; x=\x07"),
        Event("response", "AAEC", 1e20, {}, "application/octet-stream", binary=True),
        Event("response", parse_payload('{"a":\n [1e3, "ü"]}'), 1.0),
        Event("empty", None, 1.0),
    ]
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"".join(envelope.line(event) for event in written))
    read = run_in(collecting_python, READ, str(file))
    assert read[0].pop("id").rpartition("-")[2] == "1"
    assert read[0] == {
        "specversion": "1.0",
        "source": "/a%20b/blue%2F1",
        "type": "azureml.inference.model_inputs",
        "time": "2023-11-14T22:13:20.250000+00:00",
        "datacontenttype": "application/json",
        "modelname": "fraud",
        "modelversion": "3",
        "correlationid": "r-1",
        "data": [{"a": 1, "ü": None}],
    }
    assert read[1]["correlationid"] == "line\ufffd\ufffdbreak \ufffd"
    assert read[1]["httpstatus"] == 200
    assert read[1]["data"] == "text\n"
    assert read[2]["data"] == "\0\x01\x02"
    assert read[3]["data"] == {"a": [1000.0, "ü"]}
    assert read[4]["data"] is None
    assert len({event["id"] for event in read[1:]}) == 4


TEXTS = st.text(st.characters())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


@given(VALUES, TEXTS, TEXTS, st.floats())
def test_any_event_is_one_line_of_valid_json(data: object, identity: str, kind: str, seconds: float) -> None:
    line = Envelope((identity, kind)).line(Event("x", data, seconds, {"correlationid": identity}, kind or "x"))
    assert line.index(b"\n") == len(line) - 1
    event = json.loads(line, parse_constant=pytest.fail)
    assert event["specversion"] == "1.0"
    assert event.get("correlationid", "") == fit_text(identity)
    assert event["time"].endswith("Z")


@given(VALUES)
def test_data_comes_back_as_it_was_but_for_what_json_lacks(data: object) -> None:
    expected = json.loads(json.dumps(data), parse_constant=lambda _: None)
    assert json.loads(to_json(data)) == expected


@given(VALUES.map(lambda value: json.dumps(value, indent=1, ensure_ascii=False)))
def test_a_payload_keeps_its_value_in_one_line(text: str) -> None:
    try:
        written = parse_payload(text).text
    except ValueError:
        assert "NaN" in text or "Infinity" in text
        return
    assert "\n" not in written
    assert json.loads(written) == json.loads(text)


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[-Infinity]", '{"a": 1}{', "\ufeff{}", "'a'", "[01]", "[1.]", "[-]", "[1e]", "[.5]"]
)
def test_a_payload_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_payload(text)


def test_numbers_of_any_size_are_json() -> None:
    text = f"[{'9' * 10_000}, -1e999, 0.{'3' * 400}]"
    assert parse_payload(text).text == text


def test_data_that_cannot_be_written_says_so() -> None:
    with pytest.raises(Unreadable):
        Envelope(("a",)).line(Event("x", object(), 0))


def test_times_that_are_none_become_now() -> None:
    assert all(written_time(seconds) > "2026" for seconds in (float("nan"), float("inf"), 1e300, -1e300))
    assert written_time(0) == "1970-01-01T00:00:00.000000Z"

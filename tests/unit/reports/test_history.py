"""History, moments and locks as they are told."""

from __future__ import annotations

import json
from dataclasses import replace

from mlops.reports.history import Entry, render_history, render_history_json, render_history_markdown
from mlops.reports.locks import Held, render_locks, render_locks_json, render_locks_markdown
from mlops.reports.moment import Past, Served, render_past, render_past_json, render_past_markdown
from mlops.resource import Address, Event, Kind

ENTRY = Entry(
    "dev",
    7,
    1_795_000_000.0,
    Event.FINISHED,
    "Ada <ada@example.com>",
    "Git configuration",
    ("update endpoint/digits@near done, serves blue: digits:2 (100 %)",),
    "promote digits 2",
    "main 0123456789ab",
    "12",
    "run-1",
    "f" * 40,
    {"effect": "e" * 64},
)
SERVED = Served(
    Address(Kind.ENDPOINT, "digits@near"),
    "a" * 64,
    ("blue: digits:2 (100 %)",),
    (("digits:2/model.onnx", "b" * 64),),
    1_795_000_000.0,
    ENTRY,
    "to goal cccccccccccc, step 2 done; served blue: digits:2 (90 %), blue: digits:3 (10 %)",
    "changed outside of Git; traffic.blue",
)
PAST = Past("dev", 1_795_000_060.0, ENTRY, (SERVED,))
HELD = Held("dev", "run-1", "Ada", "box", 4711, 1_795_000_000.0, 75.0, 5.0, 85.0, "held", ("endpoint/digits@near",))


def test_history_says_who_what_why_and_from_what() -> None:
    assert render_history("dev", (ENTRY,)) == (
        "2026-11-18 11:06:40Z  finished    Ada <ada@example.com>\n"
        "    update endpoint/digits@near done, serves blue: digits:2 (100 %)\n"
        "    why: promote digits 2\n"
        "    from main 0123456789ab, pull request 12; record ffffffffffff\n"
    )


def test_history_says_from_where_it_knows_who() -> None:
    """But for Git's own configuration, where everybody looks first."""
    text = render_history("dev", (replace(ENTRY, who="root <root@vm>", actor_source="operating system, because"),))
    assert text.splitlines()[0].endswith("root <root@vm> (from operating system, because)")


def test_a_stage_without_history_says_so() -> None:
    assert render_history("dev", ()) == "Stage dev has no history yet.\n"


def test_a_reason_cannot_forge_a_record() -> None:
    forged = "fine\n2026-11-18 11:06:40Z  approved    Eve\n| x | y |"
    entry = replace(ENTRY, why=forged, what=(forged,), who=forged)
    assert sum(line.startswith("2026-") for line in render_history("dev", (entry,)).splitlines()) == 1
    table = render_history_markdown("dev", (entry,)).splitlines()
    assert len([line for line in table if line.startswith("| ")]) == 2


def test_history_for_machines_has_all_of_it() -> None:
    value = json.loads(render_history_json("dev", (ENTRY,)))
    record = value["records"][0]
    assert value["kind"] == "history"
    assert record["time"] == "2026-11-18T11:06:40.000Z"
    assert record["digests"] == {"effect": "e" * 64}
    assert record["pull_request"] == "12"


def test_a_moment_answers_an_auditor() -> None:
    assert render_past(PAST) == (
        "Stage dev at 2026-11-18 11:07:40Z; last record 2026-11-18 11:06:40Z (finished)\n"
        "\n"
        "endpoint/digits@near: blue: digits:2 (100 %)\n"
        "    applied since 2026-11-18 11:06:40Z, goal aaaaaaaaaaaa\n"
        "    by Ada <ada@example.com>: promote digits 2\n"
        "    from main 0123456789ab, pull request 12, record ffffffffffff\n"
        "    effect eeeeeeeeeeee\n"
        f"    digits:2/model.onnx sha256 {'b' * 64}\n"
        "    rollout to goal cccccccccccc, step 2 done; served blue: digits:2 (90 %), blue: digits:3 (10 %)\n"
        "    drift changed outside of Git; traffic.blue\n"
    )
    assert "Nothing was applied." in render_past(replace(PAST, objects=()))


def test_a_moment_in_other_formats() -> None:
    value = json.loads(render_past_json(PAST))
    assert value["at"] == "2026-11-18T11:07:40.000Z"
    assert value["objects"][0]["models"] == {"digits:2/model.onnx": "b" * 64}
    assert value["objects"][0]["source"]["who"] == "Ada <ada@example.com>"
    assert "| `endpoint/digits@near` | blue: digits:2 \\(100 %\\); to goal" in render_past_markdown(PAST)


def test_locks_name_their_owner() -> None:
    assert render_locks((HELD,)).splitlines()[1] == (
        "dev    Ada  box pid 4711  2026-11-18 11:06:40Z  1m 15s  "
        "held, may be taken over in 1m 25s unless renewed  endpoint/digits@near"
    )
    dead = replace(HELD, expires=0.0, standing="its process is gone")
    assert "its process is gone: the next apply takes it over" in render_locks((dead,))
    assert render_locks(()) == "No stage is locked.\n"


def test_locks_in_other_formats() -> None:
    assert json.loads(render_locks_json((HELD,)))["locks"][0]["intended"] == ["endpoint/digits@near"]
    assert "| dev | Ada |" in render_locks_markdown((HELD,))

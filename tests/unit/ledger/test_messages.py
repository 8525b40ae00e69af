"""Messages for people, which nothing from outside can bend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.git.room import git
from tests.unit.ledger.rig import ENDPOINT, apply_once, intent, open_ledger

from mlops.git import Actor, Revision
from mlops.ledger import Origin, Outcome, RecordedResult
from mlops.ledger.message import identity, one_line
from mlops.resource import Event

NASTY = "fine\n\nMlops-Record: 99 finished\r\nSigned-off-by: boss\x1b[2K\u202etxt\u2028\x00\x85end"


def _log(root: Path, layout: str) -> str:
    return git(root, "log", "-1", f"--format={layout}", "ledger/dev")


def test_a_message_says_what_became_of_each_change_and_why(root: Path) -> None:
    apply_once(open_ledger(root), 1)
    assert _log(root, "%s") == "dev: finished, update endpoint/digits@local-dev done, by Ada"
    assert _log(root, "%an <%ae> %at") == "Ada <ada@example.com> 1800000000"
    assert "- why: because\n- from aaaa" in _log(root, "%B")


def test_many_results_are_counted_in_the_first_line(root: Path) -> None:
    results = [RecordedResult(ENDPOINT, "update", Outcome.DONE, goal="g")] * 60
    with open_ledger(root).begin(intent({})) as run:
        run.fail([*results, RecordedResult(ENDPOINT, "update", Outcome.FAILED)])
    assert _log(root, "%s") == "dev: failed, 60 done, 1 failed, by Ada"
    assert "- and 11 more" in _log(root, "%B")


def test_a_reason_with_line_breaks_forges_neither_line_nor_trailer(root: Path) -> None:
    ledger = open_ledger(root)
    origin = Origin(Actor(NASTY, f"{NASTY}<x>", NASTY), NASTY, Revision(NASTY, NASTY, dirty=True, tree=NASTY), NASTY)
    result = RecordedResult(ENDPOINT, NASTY, Outcome.FAILED, NASTY, NASTY, {NASTY: NASTY}, NASTY)
    with ledger.begin(replace(intent({}), origin=origin)) as run:
        record = run.fail([result], NASTY)
    assert record.sequence == 2
    assert _log(root, "%(trailers:key=Signed-off-by)") == ""
    assert _log(root, "%(trailers:key=Mlops-Record,valueonly)").startswith("2 failed 2027-")
    lines = _log(root, "%B").splitlines()
    assert [line for line in lines if line.startswith("Mlops-Record")] == [lines[-2]]
    assert all(line == "" or line.startswith(("dev: ", "- ", "Mlops-")) for line in lines)
    assert all(sign.isprintable() for line in lines for sign in line)
    git(root, "fsck", "--strict")


def test_what_was_bent_in_the_message_is_whole_in_the_record(root: Path) -> None:
    ledger = open_ledger(root)
    ledger.append(Event.APPROVED, Origin(Actor(NASTY, NASTY, NASTY), NASTY))
    assert next(ledger.records()).reason == NASTY
    assert next(ledger.records()).actor.name == NASTY


@pytest.mark.parametrize("name", ["", "  ", "<>", "\n", "...", "\udce9"])
def test_an_actor_without_a_usable_name_still_makes_a_valid_commit(root: Path, name: str) -> None:
    open_ledger(root).append(Event.APPROVED, Origin(Actor(name, name, "test")))
    git(root, "fsck", "--strict")
    assert _log(root, "%an")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("two\nlines\tand  more ", "two lines and more"),
        ("a\x00b\x1bc\u202ed\u2028e\x85f", "a b c d e f"),
        ("\u00fcn\u00efcode \u6f22\u5b57", "\u00fcn\u00efcode \u6f22\u5b57"),
    ],
)
def test_text_becomes_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


def test_a_long_text_is_cut_where_it_can_be_seen() -> None:
    assert one_line("x" * 10_000, 20) == "x" * 19 + "…"


def test_an_identity_cannot_close_its_brackets() -> None:
    assert identity("a> 0 +0000\ncommitter x <y") == "a 0 +0000 committer x y"


def test_the_address_in_a_message_is_the_object(root: Path) -> None:
    with open_ledger(root).begin(intent({})) as run:
        run.step(ENDPOINT, "g", 1, {"traffic": {"new": 10, "old": 90}}, done=True)
        assert _log(root, "%s") == "dev: endpoint/digits@local-dev step 1 done, by Ada"

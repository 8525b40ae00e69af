"""Packing: few packs, nothing lost, nobody else's objects touched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.unit.git.room import git, objects
from tests.unit.ledger.rig import (
    ADA,
    ENDPOINT,
    MODEL,
    PROJECT,
    ManualClock,
    apply_once,
    done,
    intent,
    open_git,
    open_ledger,
)

from mlops.ledger import State
from mlops.ledger.branch import Branch
from mlops.ledger.extend import Draft
from mlops.ledger.packing import SEGMENT
from mlops.ledger.record import Entry
from mlops.resource import Address, Event, Kind, digest


def _grow(root: Path, count: int) -> None:
    """So many records, few at a time, so that they are loose."""
    branch = Branch(open_git(root), PROJECT, "dev", None, ManualClock())
    drafts = [Draft(Entry(Event.APPROVED, ADA, digests={"effect": str(number)}), {}) for number in range(count)]
    for first in range(0, count, 8):
        part = drafts[first : first + 8]

        def make(_state: State, part: Sequence[Draft] = part) -> Sequence[Draft]:
            return part

        branch.append(make)


def _packs(root: Path) -> list[Path]:
    return sorted((root / ".git/objects/pack").glob("*.pack"))


def _loose(root: Path) -> int:
    return int(git(root, "count-objects").split()[0])


def test_few_records_stay_loose(root: Path) -> None:
    _grow(root, SEGMENT - 1)
    assert open_ledger(root).pack() == 0
    assert _packs(root) == []


def test_many_records_become_one_pack_and_only_their_loose_copies_go(root: Path) -> None:
    mine = git(root, "hash-object", "-w", "--stdin", data="not of the ledger")
    before_ledger = objects(root)
    _grow(root, SEGMENT)
    before = objects(root)
    assert open_ledger(root).pack() == SEGMENT
    assert objects(root) == before
    assert len(_packs(root)) == 1
    assert _loose(root) == len(before_ledger)
    assert (root / ".git/objects" / mine[:2] / mine[2:]).exists()
    assert open_ledger(root).verify() == ()
    assert open_ledger(root).pack() == 0


def test_packs_stay_few_as_records_come_and_no_record_is_lost(root: Path) -> None:
    ledger = open_ledger(root)
    counts = []
    for _ in range(5):
        _grow(root, SEGMENT)
        assert ledger.pack() >= SEGMENT
        counts.append(len(_packs(root)))
    assert max(counts) <= 3
    assert ledger.verify() == ()
    assert len(list(ledger.records())) == 5 * SEGMENT
    git(root, "fsck", "--strict", "--full")


def test_packs_that_large_records_made_are_taken_in(root: Path) -> None:
    ledger = open_ledger(root)
    for number in range(6):
        specs = [{"number": number, "part": part} for part in range(50)]
        goals = {Address(Kind.MODEL, f"m{part}:{number}"): digest(spec) for part, spec in enumerate(specs)}
        with ledger.begin(intent(goals, specs)) as run:
            run.finish([done(address, goal) for address, goal in goals.items()])
    assert len(_packs(root)) == 6
    _grow(root, SEGMENT)
    assert ledger.pack() == SEGMENT + 12
    assert len(_packs(root)) == 1
    assert ledger.verify() == ()


def test_what_another_ledger_needs_is_never_removed(root: Path) -> None:
    """A record of `dev` that lost its race left a spec in a pack; `prod` relies on that copy."""
    specs = [{"part": part} for part in range(50)]
    goals = {Address(Kind.MODEL, f"m{part}:1"): digest(spec) for part, spec in enumerate(specs)}
    dev, prod = open_ledger(root), open_ledger(root, stage="prod")
    apply_once(dev, 1)
    base = git(root, "rev-parse", "ledger/dev")
    with dev.begin(intent(goals, specs)) as run:
        run.finish([])
    with prod.begin(intent(goals, specs)) as run:
        run.finish([])
    git(root, "update-ref", "refs/heads/ledger/dev", base)
    _grow(root, SEGMENT)
    assert open_ledger(root).pack() > 0
    assert len(open_ledger(root, stage="prod").specs(goals.values())) == 50
    git(root, "fsck", "--strict", "--full")


@pytest.mark.parametrize(
    "note", ["", "[", "{}", "[1]", json.dumps([{"first": 1, "last": 9, "tip": "x", "pack": "../../HEAD"}])]
)
def test_a_note_of_packs_that_was_spoiled_does_no_harm(root: Path, note: str) -> None:
    _grow(root, SEGMENT)
    path = root / ".git/mlops/packs/dev/segments.json"
    path.parent.mkdir(parents=True)
    path.write_text(note)
    (path.parent / "not-a-pack").touch()
    assert open_ledger(root).pack() == SEGMENT
    assert open_ledger(root).verify() == ()


def test_git_may_pack_everything_itself_at_any_time(root: Path) -> None:
    ledger = open_ledger(root)
    _grow(root, SEGMENT)
    ledger.pack()
    git(root, "gc", "-q", "--prune=now")
    _grow(root, SEGMENT)
    assert ledger.pack() >= SEGMENT
    apply_once(ledger, 1, MODEL)
    apply_once(ledger, 2, ENDPOINT)
    assert ledger.verify() == ()
    git(root, "fsck", "--strict", "--full")

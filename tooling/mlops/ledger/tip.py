"""Reading one place of a ledger's branch: its record, its state and where its specs are."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from mlops.git import GitRepository
from mlops.git.objects import GitObject
from mlops.ledger.errors import foreign, other_project, unreadable
from mlops.ledger.fields import Malformed
from mlops.ledger.record import Record
from mlops.ledger.record_json import read_record
from mlops.ledger.state import State
from mlops.ledger.state_json import read_state

RECORD_FILE = "record.json"
STATE_FILE = "state.json"
SPECS_FOLDER = "specs"
MESSAGE_OF_NONE = "its tip has no record.json"


@dataclass(frozen=True, slots=True)
class Tip:
    """One record with what it led to.

    Attributes:
        commit: Id of the commit.
        record: The record.
        state: The state with it.
        specs_tree: Id of the folder that holds every spec so far; None where there is none.
    """

    commit: str
    record: Record
    state: State
    specs_tree: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Which ledger: used in messages and checked on every read.

    Attributes:
        project: The project's id.
        stage: The stage.
        branch: The branch's short name, for people.
    """

    project: str
    stage: str
    branch: str


def parse(content: bytes) -> object:
    """A JSON document.

    Raises:
        Malformed: It is none, or nested too deeply.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Malformed("it holds something that is not JSON") from error


def load_record(commit: str, found: GitObject | None, place: Place) -> Record:
    """The record of a commit.

    Raises:
        CorruptLedger: There is none that can be read, or it is another project's.
    """
    if found is None:
        raise foreign(place.branch, f"{commit[:12]} has no {RECORD_FILE}")
    try:
        record = read_record(commit, parse(found.content))
    except Malformed as error:
        raise unreadable(place.branch, commit, error) from error
    if record.project != place.project:
        raise other_project(place.branch, record.project, place.project)
    if record.stage != place.stage:
        raise foreign(place.branch, f'it is the ledger of stage "{record.stage}"')
    return record


def load_tip(git: GitRepository, commit: str, place: Place) -> Tip:
    """Everything at one commit, in one batch.

    Raises:
        CorruptLedger: It is not a record of this ledger.
    """
    names = [f"{commit}:{name}" for name in (RECORD_FILE, STATE_FILE, SPECS_FOLDER)]
    record_object, state_object, specs = git.objects.read(names)
    record = load_record(commit, record_object, place)
    if state_object is None:
        raise foreign(place.branch, f"{commit[:12]} has no {STATE_FILE}")
    try:
        state = read_state(parse(state_object.content))
    except Malformed as error:
        raise unreadable(place.branch, commit, error) from error
    if (state.sequence, state.project, state.stage) != (record.sequence, record.project, record.stage):
        raise foreign(place.branch, f"record and state of {commit[:12]} do not belong together")
    return Tip(commit, record, state, specs.oid if specs is not None else None)


_PARENT = re.compile(rb"^parent ([0-9a-f]+)$", re.MULTILINE)


def parent_of(found: GitObject | None) -> str | None:
    """Id of a commit's first parent."""
    if found is None:
        return None
    match = _PARENT.search(found.content.partition(b"\n\n")[0])
    return match[1].decode() if match is not None else None

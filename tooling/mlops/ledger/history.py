"""Walking back through the records, and finding the one that held at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mlops.errors import Diagnostic
from mlops.git.command import end
from mlops.ledger.branch import Branch
from mlops.ledger.errors import CorruptLedger, foreign
from mlops.ledger.fields import Malformed
from mlops.ledger.fold import fold
from mlops.ledger.record import Record
from mlops.ledger.state import State
from mlops.ledger.tip import RECORD_FILE, Tip, load_record, load_tip, parent_of

_READ_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Moment:
    """What a stage's ledger said at a time.

    Attributes:
        time: The time that was asked for, in epoch seconds.
        record: The last record until then.
        state: The state with it; a rollout under way is in `state.rollouts`, with its weights.
        sources: The records by which the goals in `state.applied` were applied, by sequence: who, why, from which
            commit, on what evidence.
    """

    time: float
    record: Record
    state: State
    sources: Mapping[int, Record] = field(default_factory=dict)


def _listed(branch: Branch, tip: str, skip: int) -> Iterator[str]:
    """Ids of commits, newest first, as far as this clone has them."""
    process = branch.git.command.start(("rev-list", "--first-parent", f"--skip={skip}", tip, "--"))
    try:
        if process.stdin is not None:
            process.stdin.close()
        for line in process.stdout or ():
            yield line.decode().strip()
    finally:
        end(process)


def commits(branch: Branch, tip: Tip) -> Iterator[str]:
    """Ids of all records, newest first; fetches what a shallow clone lacks.

    Raises:
        CorruptLedger: The branch does not hold as many records as the last one counts.
        Unreachable: The missing part cannot be fetched.
    """
    count = 0
    for commit in _listed(branch, tip.commit, 0):
        count += 1
        yield commit
    if count < tip.record.sequence:
        branch.deepen()
        for commit in _listed(branch, tip.commit, count):
            count += 1
            yield commit
    if count != tip.record.sequence:
        raise foreign(branch.place.branch, f"it counts {tip.record.sequence} records and holds {count}")


def load_records(branch: Branch, ids: Iterator[str]) -> Iterator[Record]:
    """The records of commits, read in batches.

    Raises:
        CorruptLedger: One cannot be read.
    """
    while batch := list(islice(ids, _READ_AT_ONCE)):
        found = branch.git.objects.read(f"{commit}:{RECORD_FILE}" for commit in batch)
        for commit, content in zip(batch, found, strict=True):
            yield load_record(commit, content, branch.place)


def records(branch: Branch, tip: Tip, wanted: Callable[[Record], bool], since: float | None) -> Iterator[Record]:
    """Records, newest first.

    Args:
        branch: The ledger's branch.
        tip: Where to begin.
        wanted: Which ones.
        since: Stop before records that are older than this, in epoch seconds.

    Raises:
        CorruptLedger: One cannot be read.
    """
    for record in load_records(branch, commits(branch, tip)):
        if since is not None and record.time < since:
            return
        if wanted(record):
            yield record


def moment(branch: Branch, tip: Tip, time: float) -> Moment | None:
    """What the ledger said at a time; None: before its first record.

    Times of records never decrease along the branch, whatever the clocks did, so this is a binary search over the
    records' own times.

    Raises:
        CorruptLedger: A record cannot be read.
    """
    if tip.record.time <= time:
        return _with_sources(branch, tip, time, ())
    ids = tuple(commits(branch, tip))
    newest, oldest = 0, len(ids)
    while newest < oldest:
        middle = (newest + oldest) // 2
        if _at(branch, ids[middle]).time <= time:
            oldest = middle
        else:
            newest = middle + 1
    if newest == len(ids):
        return None
    return _with_sources(branch, load_tip(branch.git, ids[newest], branch.place), time, ids)


def _at(branch: Branch, commit: str) -> Record:
    return load_record(commit, branch.git.objects.read((f"{commit}:{RECORD_FILE}",))[0], branch.place)


def _with_sources(branch: Branch, place: Tip, time: float, ids: Sequence[str]) -> Moment:
    wanted = sorted({applied.sequence for applied in place.state.applied.values()} - {place.record.sequence})
    sources = {place.record.sequence: place.record}
    if wanted:
        listed = ids or tuple(commits(branch, place))
        found = load_records(branch, iter([listed[-sequence] for sequence in wanted]))
        sources.update((record.sequence, record) for record in found)
    return Moment(time, place.record, place.state, sources)


def verify(branch: Branch, tip: Tip) -> Iterator[Diagnostic]:
    """Replay every record from the first, and say what does not hold.

    Yields:
        One problem each; a record that cannot be read ends the replay.
    """
    state = State(branch.place.project, branch.place.stage)
    last: str | None = None
    for commit in reversed(tuple(commits(branch, tip))):
        try:
            found = load_tip(branch.git, commit, branch.place)
            expected = fold(state, found.record)
        except CorruptLedger as error:
            yield from error.diagnostics
            return
        except Malformed as error:
            yield _broken(commit, str(error))
            return
        if found.record.sequence != state.sequence + 1 or found.record.time < state.time:
            yield _broken(commit, "its number or its time does not follow the record before it")
        if found.state != expected:
            yield _broken(commit, "its state is not what its records add up to")
        if parent_of(branch.git.objects.read((commit,))[0]) != last:
            yield _broken(commit, "it does not have the record before it as its only parent")
        state, last = found.state, commit


def _broken(commit: str, why: str) -> Diagnostic:
    return Diagnostic(
        "The ledger does not add up",
        f"Record {commit[:12]}: {why}.",
        todo="It was not written by mlops, or damaged. Compare with another clone.",
        command=f"git show {commit[:12]}",
    )

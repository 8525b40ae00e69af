"""Making the objects of new records on top of a tip. What has not changed is shared, so the cost does not grow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mlops.git import GitRepository
from mlops.git.storage import NewObject, ObjectKind, TreeEntry, make_object, make_tree, read_tree
from mlops.ledger.fold import fold
from mlops.ledger.message import identity, make_message
from mlops.ledger.record import Entry, Record
from mlops.ledger.record_json import record_to_json
from mlops.ledger.state import State
from mlops.ledger.state_json import state_to_json
from mlops.ledger.tip import RECORD_FILE, SPECS_FOLDER, STATE_FILE, Place, Tip
from mlops.resource import JSON, Spec, canonical

_FILE = "100644"
_FOLDER = "40000"


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry with the specs that come with it: canonical JSON by digest."""

    entry: Entry
    specs: Mapping[str, bytes]


def make_specs(specs: Iterable[Spec]) -> dict[str, bytes]:
    """Canonical JSON by digest."""
    contents = (canonical(spec) for spec in specs)
    return {hashlib.sha256(content).hexdigest(): content for content in contents}


class Trees:
    """The folders of specs, read from Git once and then known: they are content-addressed, so never out of date."""

    def __init__(self, git: GitRepository) -> None:
        """Know nothing yet."""
        self._git = git
        self._known: dict[str, dict[str, TreeEntry]] = {}

    def entries(self, oid: str | None) -> dict[str, TreeEntry]:
        """A copy of the entries of a folder; none for None."""
        if oid is None:
            return {}
        self._learn((oid,))
        return dict(self._known[oid])

    def find(self, oid: str | None, digests: Iterable[str]) -> dict[str, str]:
        """Ids of the specs behind digests, those that a folder of specs holds."""
        found: dict[str, str] = {}
        folders = self.entries(oid)
        wanted = [digest for digest in digests if digest[:2] in folders]
        self._learn({folders[digest[:2]].oid for digest in wanted})
        for digest in wanted:
            entry = self._known[folders[digest[:2]].oid].get(f"{digest[2:]}.json")
            if entry is not None:
                found[digest] = entry.oid
        return found

    def _learn(self, oids: Iterable[str]) -> None:
        unknown = [oid for oid in oids if oid not in self._known]
        for oid, found in zip(unknown, self._git.objects.read(unknown), strict=True):
            self._known[oid] = read_tree(found.content, self._git.hash_name) if found is not None else {}

    def make(self, entries: Mapping[str, TreeEntry]) -> NewObject:
        """A folder with these entries, remembered."""
        made = make_tree(entries, self._git.hash_name)
        self._known[made.oid] = dict(entries)
        return made


def _add_specs(
    trees: Trees, hash_name: str, tree: str | None, specs: Mapping[str, bytes]
) -> tuple[str | None, list[NewObject], list[str]]:
    """The folder of specs with new ones: its id, the new objects, and the digests that were not in it before."""
    folders = trees.entries(tree)
    touched: dict[str, dict[str, TreeEntry]] = {}
    objects: list[NewObject] = []
    added: list[str] = []
    for digest, content in specs.items():
        folder, name = digest[:2], f"{digest[2:]}.json"
        shard = touched.get(folder)
        if shard is None:
            entry = folders.get(folder)
            shard = trees.entries(entry.oid if entry is not None else None)
        if name in shard:
            continue
        blob = make_object(ObjectKind.BLOB, content, hash_name)
        touched[folder] = {**shard, name: TreeEntry(_FILE, blob.oid)}
        objects.append(blob)
        added.append(digest)
    if not added:
        return tree, [], []
    for folder, shard in touched.items():
        made = trees.make(shard)
        objects.append(made)
        folders[folder] = TreeEntry(_FOLDER, made.oid)
    top = trees.make(folders)
    return top.oid, [*objects, top], added


def _commit(record: Record, tree: str, parent: str | None) -> bytes:
    """A commit's content: author and committer are the actor, as rules of servers want it, at the record's time."""
    seconds = int(record.time)
    name, email = identity(record.actor.name) or "unknown", identity(record.actor.email).replace(" ", "")
    lines = [
        f"tree {tree}",
        *([f"parent {parent}"] if parent is not None else []),
        f"author {name} <{email}> {seconds} +0000",
        f"committer {name} <{email}> {seconds} +0000",
        "",
        make_message(record),
    ]
    return "\n".join(lines).encode("utf-8", "replace")


def extend(
    git: GitRepository, trees: Trees, place: Place, tip: Tip | None, drafts: Sequence[Draft], now: float
) -> tuple[list[Tip], list[NewObject]]:
    """A chain of new records on top of a tip; nothing is written.

    Args:
        git: The repository.
        trees: Known folders.
        place: Which ledger.
        tip: The last record; None: there is none.
        drafts: At least one entry.
        now: Epoch seconds by this machine's clock; a record's time is never before the previous one's.

    Returns:
        The place of each new record, and every object that they need beyond what the old tip has.

    Raises:
        Malformed: An entry does not fit the state.
    """
    objects: list[NewObject] = []
    tips: list[Tip] = []
    for draft in drafts:
        state = tip.state if tip is not None else State(place.project, place.stage)
        time = max(state.time, round(now, 3))
        tree, new, added = _add_specs(trees, git.hash_name, tip.specs_tree if tip else None, draft.specs)
        entry = replace(draft.entry, specs=tuple(added))
        record = Record("", state.sequence + 1, time, place.project, place.stage, entry)
        state = fold(state, record)
        made = _objects(git.hash_name, record, state, tree, tip.commit if tip else None)
        objects.extend((*new, *made))
        tip = Tip(made[-1].oid, replace(record, commit=made[-1].oid), state, tree)
        tips.append(tip)
    return tips, objects


def _objects(
    hash_name: str, record: Record, state: State, specs_tree: str | None, parent: str | None
) -> tuple[NewObject, ...]:
    record_blob = make_object(ObjectKind.BLOB, _readable(record_to_json(record)), hash_name)
    state_blob = make_object(ObjectKind.BLOB, _readable(state_to_json(state)), hash_name)
    entries = {RECORD_FILE: TreeEntry(_FILE, record_blob.oid), STATE_FILE: TreeEntry(_FILE, state_blob.oid)}
    if specs_tree is not None:
        entries[SPECS_FOLDER] = TreeEntry(_FOLDER, specs_tree)
    root = make_tree(entries, hash_name)
    commit = make_object(ObjectKind.COMMIT, _commit(record, root.oid, parent), hash_name)
    return record_blob, state_blob, root, commit


def _readable(value: Mapping[str, JSON]) -> bytes:
    """JSON with one value a line, so that `git show` tells what changed.

    An indent would cost ten times as much, because only Python's slower encoder knows it.
    Names of files that are not UTF-8 reach us as lone surrogates, and leave as they came.
    """
    text = json.dumps(value, sort_keys=True, separators=(",\n", ": "), ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode("utf-8", "surrogatepass")

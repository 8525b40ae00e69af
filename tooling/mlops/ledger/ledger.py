"""The ledger of one stage: what was done, by whom, why, and who is doing something now."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Self

from mlops.errors import Diagnostic, InvalidRepository
from mlops.git import GitRepository
from mlops.ledger.branch import Branch
from mlops.ledger.clock import Clock, SystemClock
from mlops.ledger.errors import foreign
from mlops.ledger.extend import Draft, make_specs
from mlops.ledger.fields import Malformed
from mlops.ledger.record import Entry, Origin, Record
from mlops.ledger.state import State
from mlops.ledger.tip import SPECS_FOLDER, Tip, parse
from mlops.resource import JSON, Address, Event, Spec

if TYPE_CHECKING:
    from mlops.ledger.history import Moment
    from mlops.ledger.lease import Terms
    from mlops.ledger.lock import Lock
    from mlops.ledger.locking import Locking
    from mlops.ledger.run import Intent, Run

_STAGE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")
_DIGEST = re.compile(r"^[0-9a-f]{64}$")
_OUTSIDE_OF_RUNS = frozenset({Event.OBSERVED, Event.DENIED, Event.ALLOWED, Event.APPROVED, Event.ROTATED})


class Ledger:
    """The ledger of one stage. Reading uses what was last seen of the remote; `refresh` looks again.

    Attributes:
        stage: The stage.
        project: The project's id.
        remote: Name of the remote that holds it; None: this clone does.
    """

    def __init__(self, branch: Branch, clock: Clock, terms: Terms | None) -> None:
        """Use `open`."""
        self.stage = branch.place.stage
        self.project = branch.place.project
        self.remote = branch.remote
        self._branch = branch
        self._clock = clock
        self._terms = terms

    @cached_property
    def _locking(self) -> Locking:
        """What concerns the lock; a plan needs none of it."""
        from mlops.ledger.locking import Locking  # noqa: PLC0415 - a plan takes no lock, and has to start quickly

        return Locking(self._branch, self._clock, self._terms)

    @classmethod
    def open(
        cls,
        git: GitRepository,
        stage: str,
        *,
        project: str,
        remote: str | None = None,
        clock: Clock | None = None,
        terms: Terms | None = None,
    ) -> Self:
        """Name a ledger; nothing is read or written, and it need not exist.

        Args:
            git: The repository.
            stage: The stage, or `shared`.
            project: The project's id.
            remote: Name of the remote that holds it; None: this clone does.
            clock: Time; None: this machine's.
            terms: How long a lease lasts.

        Raises:
            InvalidRepository: There is no such remote, or the stage's name cannot be part of a branch's name.
        """
        if not _STAGE.match(stage) or stage.endswith(".lock"):
            raise InvalidRepository(Diagnostic("Not the name of a stage", f"{stage!r} cannot name a ledger's branch."))
        if remote is not None and (remote.startswith("-") or git.remote_url(remote) is None):
            known = ", ".join(git.remotes()) or "none"
            raise InvalidRepository(
                Diagnostic(
                    "No such remote",
                    f'The ledger is kept on the remote "{remote}", which this clone does not have (it has: {known}).',
                    todo="Add the remote, or correct ledger.remote in mlops.yaml.",
                    command=f"git remote add {remote} URL",
                )
            )
        clock = clock if clock is not None else SystemClock()
        return cls(Branch(git, project, stage, remote, clock), clock, terms)

    def refresh(self) -> None:
        """Look at the remote again; nothing to do without one.

        Raises:
            Unreachable: It does not answer.
            Diverged: The ledger was rewritten there.
        """
        self._branch.refresh()

    def tip(self) -> Tip | None:
        """The last record with its state; None: there is no ledger yet.

        Raises:
            CorruptLedger: The branch is not this ledger, or is newer than this version.
        """
        return self._branch.tip()

    def state(self) -> State:
        """The state after the last record; an empty one where there is no ledger yet.

        Raises:
            CorruptLedger: As for `tip`.
        """
        tip = self.tip()
        return tip.state if tip is not None else State(self.project, self.stage)

    def spec(self, digest: str) -> Spec | None:
        """The spec behind a goal digest; None where the ledger does not hold it.

        Raises:
            CorruptLedger: What it holds has another digest.
        """
        return self.specs((digest,)).get(digest)

    def specs(self, digests: Iterable[str]) -> dict[str, Spec]:
        """The specs behind goal digests, those that the ledger holds, in one batch.

        Raises:
            CorruptLedger: What it holds has another digest.
        """
        wanted = [digest for digest in dict.fromkeys(digests) if _DIGEST.match(digest)]
        commit = self._branch.commit()
        if commit is None or not wanted:
            return {}
        folder = self._branch.git.objects.read((f"{commit}:{SPECS_FOLDER}",))[0]
        blobs = self._branch.trees.find(folder.oid if folder is not None else None, wanted)
        contents = self._branch.git.objects.read(blobs.values())
        return {
            digest: self._checked_spec(digest, content.content)
            for digest, content in zip(blobs, contents, strict=True)
            if content is not None
        }

    def _checked_spec(self, digest: str, content: bytes) -> Spec:
        if hashlib.sha256(content).hexdigest() != digest:
            raise foreign(self._branch.place.branch, f"the spec {digest[:12]} has another digest")
        try:
            value = parse(content)
        except Malformed as error:
            raise foreign(self._branch.place.branch, f"the spec {digest[:12]} cannot be read") from error
        return value if isinstance(value, dict) else {}

    def records(
        self, *, limit: int | None = None, address: Address | None = None, since: float | None = None
    ) -> Iterator[Record]:
        """Records, newest first, read as they are asked for.

        Args:
            limit: At most that many.
            address: Only those about this object.
            since: None older than this, in epoch seconds.

        Raises:
            CorruptLedger: One cannot be read.
        """
        from mlops.ledger.history import records  # noqa: PLC0415 - as above

        tip = self.tip()
        if tip is None:
            return
        name = str(address)
        found = records(self._branch, tip, lambda r: address is None or name in r.addresses(), since)
        for count, record in enumerate(found):
            if limit is not None and count >= limit:
                return
            yield record

    def at(self, time: float) -> Moment | None:
        """What this ledger said at a time, in epoch seconds; None: before its first record.

        Raises:
            CorruptLedger: A record cannot be read.
        """
        from mlops.ledger.history import moment  # noqa: PLC0415 - as above

        tip = self.tip()
        return moment(self._branch, tip, time) if tip is not None else None

    def append(
        self,
        event: Event,
        origin: Origin,
        *,
        body: Mapping[str, JSON] | None = None,
        digests: Mapping[str, str] | None = None,
        evidence: JSON = None,
        specs: Iterable[Spec] = (),
    ) -> Record:
        """Add a record that belongs to no run; it needs no lock.

        Args:
            event: observed, denied, allowed, approved or rotated.
            origin: Who and why.
            body: What the event asks for (see `mlops.ledger.fold`).
            digests: Of the plan that it is about.
            evidence: What it was based on.
            specs: Specs that it mentions.

        Raises:
            ValueError: The event belongs to a run, or the body is not what it asks for.
            MlopsError: The repository or the remote cannot be written.
        """
        if event not in _OUTSIDE_OF_RUNS:
            raise ValueError(f"{event.value} belongs to a run")
        entry = Entry(event, origin, digests=digests or {}, evidence=evidence, body=body or {})
        drafts = (Draft(entry, make_specs(specs)),)
        return self._branch.append(lambda _: drafts)[-1].record

    def begin(self, intent: Intent, *, wait: float = 0.0, say: Callable[[str], None] | None = None) -> Run:
        """Take the lock by recording what is about to be done.

        A dead run is closed first. A lock of another machine that looks expired is watched until that is sure.

        Args:
            intent: What is about to be done, by whom and why.
            wait: Seconds to wait for a lock that is held.
            say: Told, in a sentence, whenever it waits.

        Raises:
            Locked: Somebody else holds it.
            MlopsError: The repository or the remote cannot be written; nothing was begun.
        """
        return self._locking.begin(intent, wait, say or (lambda _: None))

    def lock(self) -> Lock | None:
        """Who holds the lock, as far as was last seen; None: nobody."""
        run = self.state().run
        return self._locking.judge(run) if run is not None else None

    def break_lock(self, origin: Origin) -> Record | None:
        """Close somebody's run as interrupted, whether it lives or not; it notices before its next write.

        Args:
            origin: Who breaks it, and why.

        Returns:
            The record that closes it; None where nobody held the lock.
        """
        self._branch.refresh()
        lock = self.lock()
        if lock is None:
            return None
        return self._locking.close(lock, origin, "broken")

    def pack(self) -> int:
        """Pack this ledger's loose objects when they are many; call it after an apply.

        Returns:
            How many records were packed.
        """
        from mlops.ledger.packing import pack  # noqa: PLC0415 - as above

        tip = self.tip()
        return pack(self._branch.git, self.stage, tip) if tip is not None else 0

    def verify(self) -> Sequence[Diagnostic]:
        """Replay the whole ledger; everything that does not hold."""
        from mlops.ledger.history import verify  # noqa: PLC0415 - as above

        tip = self.tip()
        return tuple(verify(self._branch, tip)) if tip is not None else ()

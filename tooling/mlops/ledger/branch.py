"""The branch of a ledger: where it is, and how it grows by compare-and-swap.

Without a remote the truth is `refs/heads/ledger/STAGE` of this clone. With one it is that branch on the remote;
`refs/remotes/REMOTE/ledger/STAGE` is what was last seen of it, and this clone has no branch of its own.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence

from mlops.errors import Diagnostic, MlopsError
from mlops.git import GitRepository, Unreachable
from mlops.git.refs import RefUpdate, update_refs
from mlops.git.remote import fetch, push
from mlops.git.storage import NewObject, write_objects
from mlops.ledger.clock import Clock
from mlops.ledger.errors import foreign
from mlops.ledger.extend import Draft, Trees, extend
from mlops.ledger.packs import note_pack
from mlops.ledger.state import State
from mlops.ledger.tip import Place, Tip, load_tip

_ATTEMPTS = 30
_WHOLE_HISTORY = "--depth=2147483647"
"""What git-fetch(1) calls infinite depth; unlike `--unshallow` it is no error in a clone that is complete."""
_LEASE_TIMEOUT = 25.0
"""Seconds that a renewal may take: with one more try it still comes in time."""
_UNMOVED = 5
"""Lost swaps in a row although nobody has moved the branch, after which it is not there any more."""
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0


class Branch:
    """One ledger's branch and its lease ref.

    Attributes:
        git: The repository.
        place: Which ledger.
        remote: Name of the remote that holds it; None: this clone does.
        name: Full name of the branch, here or on the remote.
        seen: Full name of the ref that says where it was last seen.
        lease_name: Full name of the lease's ref, here or on the remote.
    """

    def __init__(self, git: GitRepository, project: str, stage: str, remote: str | None, clock: Clock) -> None:
        """Read nothing."""
        self.git = git
        self.remote = remote
        self.name = f"refs/heads/ledger/{stage}"
        self.seen = self.name if remote is None else f"refs/remotes/{remote}/ledger/{stage}"
        self.lease_name = f"refs/mlops/lease/{stage}"
        self.seen_lease = self.lease_name if remote is None else f"refs/mlops/remote/{remote}/lease/{stage}"
        shown = f"ledger/{stage}" if remote is None else f"{remote}/ledger/{stage}"
        self.place = Place(project, stage, shown)
        self.trees = Trees(git)
        self._clock = clock
        self._lock = threading.RLock()

    def refresh(self) -> None:
        """Fetch where the branch and the lease are; nothing to do without a remote.

        Raises:
            Unreachable: The remote does not answer.
            Diverged: The branch was rewritten there.
        """
        if self.remote is None:
            return
        refspecs = (
            f"refs/heads/ledger/*:refs/remotes/{self.remote}/ledger/*",
            f"+refs/mlops/lease/*:refs/mlops/remote/{self.remote}/lease/*",
        )
        with self._lock:
            fetch(self.git.command, self.remote, refspecs)

    def deepen(self) -> None:
        """Fetch the whole history of the branch into a shallow clone; nothing to do without a remote.

        Raises:
            Unreachable: The remote does not answer.
        """
        if self.remote is not None:
            with self._lock:
                fetch(self.git.command, self.remote, (f"{self.name}:{self.seen}",), (_WHOLE_HISTORY,))

    def commit(self) -> str | None:
        """Where the branch was last seen; None: there is no ledger yet.

        A ledger that was begun before it had a remote is found on the local branch, and published by the next record.

        Raises:
            CorruptLedger: The ref points to something that is no commit, or is not there.
        """
        for reference in dict.fromkeys((self.seen, self.name)):
            found = self.git.objects.read((reference,))[0]
            if found is not None and found.kind == "commit":
                return found.oid
            if found is not None or (self.git.common_directory / reference).is_file():
                raise foreign(self.place.branch, "it points to something that is not a commit, or is not there")
        return None

    def tip(self) -> Tip | None:
        """The last record that was seen; None: there is no ledger yet.

        Raises:
            CorruptLedger: The branch is not this ledger.
        """
        commit = self.commit()
        return load_tip(self.git, commit, self.place) if commit is not None else None

    def lease(self) -> str | None:
        """Id of the object that the lease's ref was last seen to point to."""
        found = self.git.objects.read((self.seen_lease,))[0]
        return found.oid if found is not None else None

    def append(
        self,
        make: Callable[[State], Sequence[Draft]],
        known: Tip | None = None,
        also: Callable[[], tuple[RefUpdate, NewObject] | None] = lambda: None,
    ) -> list[Tip]:
        """Add records; durable when it returns.

        Args:
            make: Says what to add to a state; called again when somebody else was faster; raises to give up.
            known: The tip, where the caller has just seen it.
            also: A ref that has to move together with the branch.

        Returns:
            The place of each new record.

        Raises:
            MlopsError: The repository or the remote cannot be written; nothing was added.
        """
        tip = known if known is not None else self.tip()
        unmoved = 0
        for attempt in range(_ATTEMPTS):
            drafts = make(tip.state if tip is not None else State(self.place.project, self.place.stage))
            new, objects = extend(self.git, self.trees, self.place, tip, drafts, self._clock.time())
            if self._advance(tip, new[-1], objects, also()):
                return new
            self._pause(attempt)
            self.refresh()
            last, tip = tip, self.tip()
            unmoved = unmoved + 1 if tip is not None and last is not None and tip.commit == last.commit else 0
            if unmoved >= _UNMOVED:
                break
        raise MlopsError(
            Diagnostic(
                "The ledger cannot be extended",
                f"{self.place.branch} was not where it was last seen, {attempt + 1} times in a row; "
                f"{'it was deleted there, or a killed process left it locked' if unmoved else 'others were faster'}.",
                todo="See where the branch is now. If it was deleted, restore it from a clone that has it.",
                command=f"git ls-remote {self.remote or '.'} {self.name}",
            )
        )

    def _pause(self, attempt: int) -> None:
        longest = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE)
        self._clock.wait(threading.Event(), longest * random.random())  # noqa: S311 - spreads retries, hides nothing

    def _advance(
        self, old: Tip | None, new: Tip, objects: list[NewObject], also: tuple[RefUpdate, NewObject] | None
    ) -> bool:
        """Write the objects, then move the refs; False where somebody else was faster."""
        extra = [also[1]] if also is not None else []
        moves = [also[0]] if also is not None else []
        with self._lock:
            pack = write_objects(self.git.command, [*objects, *extra], self.git.hash_name)
            if pack is not None:
                note_pack(self.git, self.place.stage, pack)
            if self.remote is not None:
                return self._publish(self.remote, old, new, moves)
            move = RefUpdate(self.name, new.commit, old.commit if old is not None else None)
            return update_refs(self.git.command, self.git.common_directory, [move, *moves])

    def _publish(self, remote: str, old: Tip | None, new: Tip, moves: list[RefUpdate]) -> bool:
        """Move the remote's branch from exactly the tip that was built upon (what was last seen may be newer)."""
        seen = self.git.objects.read((self.seen,))[0]
        expected = old.commit if old is not None and seen is not None else None
        try:
            moved = push(self.git.command, remote, [RefUpdate(self.name, new.commit, expected), *moves])
        except Unreachable:
            # The answer may have been lost after the effect: only the remote knows.
            self.refresh()
            if self._contains(new.commit):
                return True
            raise
        if moved:
            self._note(new, seen.oid if seen is not None else None, moves)
        return moved

    def _contains(self, commit: str) -> bool:
        seen = self.git.objects.read((self.seen,))[0]
        if seen is None:
            return False
        answer = self.git.command.must(("merge-base", "--is-ancestor", commit, seen.oid), allowed=(0, 1))
        return answer.code == 0

    def _note(self, new: Tip, seen: str | None, moves: list[RefUpdate]) -> None:
        """Remember where the remote's refs are now; a fetch that ran at the same time knows it already."""
        lease = self.lease()
        noted = [RefUpdate(self.seen_lease, move.new, lease) for move in moves if move.new != lease]
        current = self.git.objects.read((self.seen,))[0]
        if current is None or current.oid != new.commit:
            noted.append(RefUpdate(self.seen, new.commit, seen))
        if noted:
            update_refs(self.git.command, self.git.common_directory, noted)

    def move_lease(self, update: RefUpdate, content: NewObject) -> bool:
        """Write a new lease and point its ref to it; False where somebody else moved it."""
        with self._lock:
            write_objects(self.git.command, [content], self.git.hash_name)
            if self.remote is None:
                return update_refs(self.git.command, self.git.common_directory, [update])
            if not push(self.git.command, self.remote, [update], timeout=_LEASE_TIMEOUT):
                return False
            if self.lease() != update.new:
                noted = RefUpdate(self.seen_lease, update.new, self.lease())
                update_refs(self.git.command, self.git.common_directory, [noted])
            return True

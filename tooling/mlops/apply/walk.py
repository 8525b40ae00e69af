"""Walk a plan: what is needed first, in parallel where nothing forbids it, deletions last.

A failure skips what depends on it and nothing else. Deletions follow all puts: one is skipped only where a change that
did not end well still refers to the object, or was to take its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from mlops.apply.perform import Site, perform
from mlops.apply.result import Outcome, Result
from mlops.errors import Locked
from mlops.plan.change import Action, Change
from mlops.plan.keep import keeps
from mlops.resource import Address

PARALLEL = 10
"""Changes performed at a time, as Terraform's default."""


@dataclass
class Execution:
    """What has ended so far, over all sections of a plan.

    Attributes:
        results: By address.
        unwell: Changes that ended otherwise than done, by address.
        lost: The lock was lost; nothing more is started.
    """

    results: dict[Address, Result] = field(default_factory=dict)
    unwell: dict[Address, Change] = field(default_factory=dict)
    lost: Locked | None = None

    def end(self, change: Change, result: Result) -> None:
        """Keep what became of a change."""
        self.results[change.address] = result
        if result.outcome is not Outcome.DONE:
            self.unwell[change.address] = change


def _needs(change: Change) -> frozenset[Address]:
    return change.desired.after if change.desired is not None else frozenset()


def _skip(site: Site, change: Change, because: Iterable[Address]) -> Result:
    names = ", ".join(str(a) for a in sorted(because))
    return Result(change.address, site.stage, change.action, Outcome.SKIPPED, f"skipped: {names} did not end well")


@dataclass
class _Walk:
    """One pass over changes with their order."""

    site: Site
    execution: Execution
    after: Mapping[Address, frozenset[Address]]
    blockers: Callable[[Change], frozenset[Address]]

    def run(self, changes: Sequence[Change], parallel: int) -> None:
        waiting = {c.address: c for c in changes}
        order = TopologicalSorter({a: [n for n in self.after[a] if n in waiting] for a in waiting})
        order.prepare()
        running: dict[Future[Result], Address] = {}
        with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="apply") as pool:
            while order.is_active():
                for address in order.get_ready():
                    ended = self._refuse(waiting[address])
                    if ended is None:
                        running[pool.submit(self._perform, waiting[address])] = address
                    else:
                        self._end(waiting[address], ended, order)
                for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                    address = running.pop(future)
                    self._end(waiting[address], future.result(), order)

    def _perform(self, change: Change) -> Result:
        """Perform a change when a thread has come to it, which may be long after it was ready."""
        if (cancelled := self._cancel(change)) is not None:
            return cancelled
        try:
            return perform(self.site, change)
        except Locked as error:
            self.execution.lost = error
            return Result(change.address, self.site.stage, change.action, Outcome.FAILED, str(error))

    def _cancel(self, change: Change) -> Result | None:
        """The result of a change that the run does not come to any more."""
        if not self.site.stop.is_set() and self.execution.lost is None:
            return None
        reason = "the run was stopped before it began"
        return Result(change.address, self.site.stage, change.action, Outcome.CANCELLED, reason)

    def _refuse(self, change: Change) -> Result | None:
        """The result of a change that is not started."""
        if (cancelled := self._cancel(change)) is not None:
            return cancelled
        because = self.blockers(change)
        return _skip(self.site, change, because) if because else None

    def _end(self, change: Change, result: Result, order: TopologicalSorter[Address]) -> None:
        self.execution.end(change, result)
        self.site.say(change.address, result.outcome.value, result.reason)
        order.done(change.address)


def _puts(site: Site, changes: list[Change], execution: Execution, parallel: int) -> None:
    after = {c.address: _needs(c) for c in changes}

    def blockers(change: Change) -> frozenset[Address]:
        return frozenset(a for a in _needs(change) if a in execution.unwell)

    _Walk(site, execution, after, blockers).run(changes, parallel)


def _deletes(site: Site, changes: list[Change], execution: Execution, parallel: int) -> None:
    users: dict[Address, set[Address]] = {c.address: set() for c in changes}
    for change in changes:
        for used in change.uses & users.keys():
            users[used].add(change.address)
    after = {address: frozenset(by) for address, by in users.items()}

    def blockers(change: Change) -> frozenset[Address]:
        return frozenset(a for a, other in execution.unwell.items() if keeps(other, change))

    _Walk(site, execution, after, blockers).run(changes, parallel)


def apply_sections(sections: Iterable[tuple[Site, tuple[Change, ...]]], *, parallel: int = PARALLEL) -> Execution:
    """Perform the changes of all sections: puts section by section, then deletes in the reverse order of sections.

    Args:
        sections: Per section, where it is performed and its changes; what is shared comes first.
        parallel: Changes performed at a time.

    Returns:
        The results by address; a change that the plan does not make has none.
    """
    execution = Execution()
    work = [(site, list(changes)) for site, changes in sections]
    for site, changes in work:
        _puts(site, [c for c in changes if c.action not in (Action.NONE, Action.DELETE)], execution, parallel)
    for site, changes in reversed(work):
        deletes = [c for c in changes if c.action is Action.DELETE]
        _deletes(site, deletes, execution, parallel)
    return execution

"""`mlops apply`: what was reviewed is what is done, once, and written down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from mlops.apply import Execution, Outcome, Progress, Result, apply_sections
from mlops.apply.perform import Site
from mlops.apply.result import exit_code
from mlops.errors import Diagnostic, Exit, Locked, StalePlan
from mlops.ledger import Intent, Origin, RecordedResult, Run, State
from mlops.ledger import Outcome as RecordedOutcome
from mlops.pipeline.guard import check_fuse, check_revision
from mlops.pipeline.planning import EVERYTHING, Scopes, Selection, open_scopes, plan_scopes
from mlops.pipeline.workspace import StageScope, Workspace
from mlops.plan import Action, Plan, Section, left_over
from mlops.plan.change import EFFECTIVE, Change
from mlops.plan.compare import moved
from mlops.resource import Kind, Spec
from mlops.rollout import from_live


@dataclass(frozen=True)
class ApplyRequest:
    """What the user asked for.

    Attributes:
        selection: What to narrow to, and which bad goals to try again.
        reviewed: The plan that was reviewed; what is done must be exactly that.
        effect: The effect digest that was approved.
        allow_deletes: How many deletes and replaces are allowed; None: the fuse's own bound.
        reason: Why, for the ledger.
        parallel: Changes performed at a time.
        lock_timeout: Seconds to wait for a lock that somebody else holds.
    """

    selection: Selection = EVERYTHING
    reviewed: Plan | None = None
    effect: str | None = None
    allow_deletes: int | None = None
    reason: str = ""
    parallel: int = 10
    lock_timeout: float = 0.0


@dataclass(frozen=True)
class Applied:
    """What became of an apply.

    Attributes:
        plan: What was planned.
        results: What became of each change that is not "none".
        exit_code: What to tell a script.
        confirmed: Whether the user agreed, or nothing needed agreement.
    """

    plan: Plan
    results: tuple[Result, ...]
    exit_code: Exit
    confirmed: bool = True


def _say_nothing(_sentence: str) -> None:
    return None


@dataclass(frozen=True)
class Conduct:
    """How a run meets its user: asks, tells of progress, hears that it should stop, and says what it waits for."""

    confirm: Callable[[Plan], bool]
    progress: Callable[[Progress], None]
    stop: threading.Event
    say: Callable[[str], None] = _say_nothing


def apply(workspace: Workspace, stage: str, request: ApplyRequest, conduct: Conduct) -> Applied:
    """Plan, ask, lock, look again, do, and record.

    Raises:
        StalePlan: What was reviewed is not what would be done now.
        Blocked: The fuse, or the stage's branch, forbids it.
        Locked: Somebody else is applying.
        MlopsError: Something cannot be read or written; nothing was changed then.
    """
    return apply_scopes(workspace, open_scopes(workspace, stage), request, conduct)


def apply_scopes(workspace: Workspace, scopes: Scopes, request: ApplyRequest, conduct: Conduct) -> Applied:
    """Apply what the scopes say is declared; see `apply`."""
    plan = plan_scopes(workspace, scopes, request.selection)
    _check_reviewed(plan, request)
    if not plan.summary.effective:
        if not request.selection.only:
            _close_dead_runs(workspace, scopes, plan, request)
        return _ended(plan, ())
    check_fuse(plan, request.allow_deletes)
    check_revision(workspace, scopes)
    if not conduct.confirm(plan):
        return Applied(plan, (), Exit.DONE, confirmed=False)
    return _run(workspace, scopes, plan, request, conduct)


def _ended(plan: Plan, results: tuple[Result, ...]) -> Applied:
    """Add what waits and what is blocked to the results of what was done."""
    done = {r.address for r in results}
    idle = {Action.WAIT: Outcome.WAITING, Action.BLOCKED: Outcome.BLOCKED}
    rest = tuple(
        Result(c.address, s.stage, c.action, idle[c.action], c.reason + "".join(f": {w}" for w in c.waits))
        for s in plan.sections
        for c in s.changes
        if c.action in idle and c.address not in done
    )
    everything = (*results, *rest)
    return Applied(plan, everything, exit_code(everything))


def _check_reviewed(plan: Plan, request: ApplyRequest) -> None:
    if request.reviewed is not None:
        reasons = moved(request.reviewed, plan)
        if reasons:
            raise StalePlan(*reasons)
    if request.effect is not None and not plan.digests.effect.startswith(request.effect):
        raise StalePlan(
            Diagnostic(
                "The effect is not the approved one",
                f"Approved was {request.effect[:12]}; applying now would have the effect {plan.digests.effect[:12]}.",
                todo="Look at what would be done now, and approve that:",
                command=f"mlops plan --stage {plan.stage}",
            )
        )


def _specs(changes: Iterable[Change]) -> Iterator[Spec]:
    for change in changes:
        if change.desired is not None:
            yield change.desired.spec
        if change.start is not None:
            yield from_live(change.start) if change.address.kind is Kind.ENDPOINT else change.start


def _intent(plan: Plan, section: Section, origin: Origin) -> Intent:
    changes = [c for c in section.changes if c.action in EFFECTIVE]
    digests = {"goal": plan.digests.goal, "effect": plan.digests.effect, "basis": plan.digests.basis}
    return Intent(origin, {c.address: c.goal for c in changes}, digests, specs=tuple(_specs(changes)))


def origin_of(workspace: Workspace, reason: str) -> Origin:
    """Who and why, for every record of a run."""
    job = workspace.git.job()
    revision = workspace.git.revision(with_tree=True)
    if not reason and revision.commit is not None and not revision.dirty:
        reason = workspace.git.subject(revision.commit)
    return Origin(workspace.git.actor(), reason, revision, job.pull_request if job is not None else None)


@contextmanager
def _locked(
    scopes: list[tuple[StageScope, Section]], begin: Callable[[StageScope, Section], Run]
) -> Iterator[dict[str, Run]]:
    """Hold the locks of the sections that are written to: `shared` first."""
    runs: dict[str, Run] = {}
    with ExitStack() as stack:
        for scope, section in scopes:
            if section.summary.effective:
                run = begin(scope, section)
                runs[section.stage] = stack.enter_context(run)
        yield runs


def _adopted(section: Section, state: State) -> list[RecordedResult]:
    """What a dead run did and could not write down any more."""
    return [
        RecordedResult(address, "none" if goal is not None else "delete", RecordedOutcome.DONE, "found done", goal)
        for address, goal in left_over(section.changes, state.intended).items()
    ]


def _close_dead_runs(workspace: Workspace, scopes: Scopes, plan: Plan, request: ApplyRequest) -> None:
    """Close what a dead run left open although nothing is left to do; a run that lives is left alone."""
    for scope, section in _both(scopes, plan):
        state = scope.ledger.state()
        if state.run is None and not left_over(section.changes, state.intended):
            continue
        with suppress(Locked), scope.ledger.begin(Intent(origin_of(workspace, request.reason), {})) as run:
            run.finish(_adopted(section, run.state()))


def _both(scopes: Scopes, plan: Plan) -> list[tuple[StageScope, Section]]:
    both = [(scopes.shared, plan.sections[0])]
    if scopes.stage is not None:
        both.append((scopes.stage, plan.sections[1]))
    return both


def _sites(
    workspace: Workspace, scopes: Iterable[tuple[StageScope, Section]], runs: Mapping[str, Run], conduct: Conduct
) -> list[tuple[Site, tuple[Change, ...]]]:
    """Where the changes of each section that is written to are performed."""
    blobs, clock = workspace.blobs, workspace.clock
    return [
        (
            Site(
                workspace.project,
                section.stage,
                scope.drivers,
                runs[section.stage],
                blobs,
                clock,
                conduct.stop,
                conduct.progress,
            ),
            section.changes,
        )
        for scope, section in scopes
        if section.stage in runs
    ]


def _run(workspace: Workspace, scopes: Scopes, plan: Plan, request: ApplyRequest, conduct: Conduct) -> Applied:
    origin = origin_of(workspace, request.reason)
    if origin.actor.guessed:
        conduct.say(f"The ledger will say that {origin.actor} did this: taken from the {origin.actor.source}.")
    both = _both(scopes, plan)

    def begin(scope: StageScope, section: Section) -> Run:
        return scope.ledger.begin(_intent(plan, section, origin), wait=request.lock_timeout, say=conduct.say)

    with _locked(both, begin) as runs:
        again = plan_scopes(workspace, scopes, request.selection)
        reasons = moved(plan, again)
        if reasons:
            for begun in runs.values():
                begun.fail((), "the plan was stale: nothing was changed")
            raise StalePlan(*reasons)
        _stage_artifacts(workspace, again)
        sites = _sites(workspace, zip((s for s, _ in both), again.sections, strict=True), runs, conduct)
        execution = apply_sections(sites, parallel=request.parallel)
        ended = _ended(again, tuple(execution.results.values()))
        if execution.lost is not None:
            raise execution.lost
        adopted = {} if request.selection.only else {s.stage: s for s in again.sections}
        _record(runs, ended.results, adopted)
    for scope, section in both:
        if section.stage in runs:
            scope.ledger.pack()
    _raise_bugs(execution)
    return ended


def _stage_artifacts(workspace: Workspace, plan: Plan) -> None:
    """Take in the content that changed endpoints refer to, so that it can be put again later without the work tree.

    Raises:
        TargetError: Content is not what the plan says; nothing was changed.
    """
    blobs = workspace.blobs
    for change in plan.changes:
        if change.address.kind is Kind.ENDPOINT and change.action in EFFECTIVE and change.desired is not None:
            for artifact in change.desired.artifacts:
                if "://" not in artifact.source:
                    blobs.add(workspace.root / artifact.source, artifact.sha256)


_RECORDED = {
    Outcome.DONE: RecordedOutcome.DONE,
    Outcome.FAILED: RecordedOutcome.FAILED,
    Outcome.RETURNED: RecordedOutcome.FAILED,
    Outcome.SKIPPED: RecordedOutcome.SKIPPED,
    Outcome.WAITING: RecordedOutcome.WAITING,
    Outcome.PAUSED: RecordedOutcome.WAITING,
    Outcome.BLOCKED: RecordedOutcome.BLOCKED,
    Outcome.CANCELLED: RecordedOutcome.CANCELLED,
}


def recorded(result: Result) -> RecordedResult:
    """A result as the ledger keeps it."""
    health = result.health.state.value if result.health is not None else ""
    return RecordedResult(
        result.address,
        result.action.value,
        _RECORDED[result.outcome],
        result.reason,
        result.goal,
        result.outputs,
        health,
    )


def _record(runs: dict[str, Run], results: tuple[Result, ...], whole: Mapping[str, Section]) -> None:
    for stage, run in runs.items():
        mine = [recorded(r) for r in results if r.stage == stage]
        if stage in whole:
            mine += _adopted(whole[stage], run.state())
        outcomes = {r.outcome for r in results if r.stage == stage}
        if Outcome.CANCELLED in outcomes:
            run.interrupt(mine, "stopped on request")
        elif outcomes & {Outcome.FAILED, Outcome.RETURNED}:
            run.fail(mine, "some changes failed")
        else:
            run.finish(mine)


def _raise_bugs(execution: Execution) -> None:
    for result in execution.results.values():
        if result.error is not None:
            raise result.error

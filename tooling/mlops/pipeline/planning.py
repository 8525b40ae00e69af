"""`mlops plan`: what a change will do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mlops.errors import Diagnostic, NotFound, did_you_mean
from mlops.pipeline.reachable import with_waits
from mlops.pipeline.usage import users_of
from mlops.pipeline.view import View, look
from mlops.pipeline.workspace import StageScope, Workspace
from mlops.plan import Action, Plan, Section, digests_of, keep_needed, narrow, plan_section
from mlops.plan.wanted import Wanted
from mlops.resolve import Resolved
from mlops.resource import JSON, SHARED, Address, Resource


@dataclass(frozen=True)
class Selection:
    """What a plan is narrowed to, and which bad goals it may try again.

    Attributes:
        only: These addresses and what they need; empty: everything.
        retry: Addresses whose denied goal is allowed again.
    """

    only: frozenset[Address] = frozenset()
    retry: frozenset[Address] = frozenset()


EVERYTHING = Selection()


@dataclass(frozen=True)
class Scopes:
    """The drivers and ledgers that a plan reads, and an apply writes through.

    Attributes:
        declared: What is declared.
        shared: Models and environments.
        stage: The stage; None where `shared` itself is planned.
    """

    declared: Resolved
    shared: StageScope
    stage: StageScope | None


def declared_for(workspace: Workspace, stage: str) -> Resolved:
    """What is declared for a stage; for `shared` itself, models and environments alone."""
    if stage != SHARED:
        return workspace.resolved(stage)
    return Resolved(SHARED, (), workspace.resolved(workspace.stages[0]).shared if workspace.stages else ())


def open_scopes(workspace: Workspace, stage: str) -> Scopes:
    """Make the drivers and find the ledgers of a stage."""
    declared = declared_for(workspace, stage)
    if stage == SHARED:
        return Scopes(declared, workspace.shared(), None)
    return Scopes(declared, workspace.shared(), workspace.stage(stage, declared))


Usage = Callable[[frozenset[Address]], Mapping[Address, tuple[str, ...]]]
"""Names the users of shared objects."""


def _shared_users(declared: Resolved, view: View, usage: Usage) -> Mapping[Address, tuple[str, ...]]:
    """The users of shared objects that are live and not declared: asked only where there are such."""
    names = {r.address for r in declared.shared}
    orphans = frozenset(o.address for o in view.observed if o.address not in names)
    return usage(orphans) if orphans else {}


def usage_of(workspace: Workspace, scopes: Scopes) -> Usage:
    """Ask declarations, ledgers and targets of all stages."""
    stage = scopes.stage.stage if scopes.stage is not None else None
    return lambda orphans: users_of(workspace, orphans, planned=stage)


def _present(section: Section) -> dict[Address, str | None]:
    stuck = (Action.WAIT, Action.BLOCKED)
    return {c.address: (c.reason or c.action.value) if c.action in stuck else None for c in section.changes}


def _narrowed(shared: Section, stage: Section | None, only: frozenset[Address]) -> list[Section]:
    """The part of both sections that a selection is about, and what it needs."""
    if stage is None:
        return [narrow(shared, only)]
    part = narrow(stage, only)
    needed = {a for c in part.changes if c.desired is not None for a in c.desired.after}
    selected = {c.address for c in part.changes}
    others = [c for c in stage.changes if c.address not in selected]
    return [keep_needed(narrow(shared, only | needed), part.changes, others), keep_needed(part, part.changes, others)]


def _check_selection(named: frozenset[Address], sections: Iterable[Section]) -> None:
    known = {c.address for s in sections for c in s.changes}
    unknown = sorted(named - known)
    if unknown:
        names = [str(a) for a in sorted(known)]
        raise NotFound(
            *(
                Diagnostic("No such object", f'Nothing is called "{a}" here. {did_you_mean(str(a), names)}'.rstrip())
                for a in unknown
            )
        )


def plan_views(
    workspace: Workspace,
    declared: Resolved,
    views: tuple[View, View | None],
    usage: Usage,
    selection: Selection = EVERYTHING,
) -> Plan:
    """Plan from what was seen.

    Args:
        workspace: The opened repository.
        declared: What is declared.
        views: What is live in `shared` and in the stage.
        usage: Names the users of shared objects.
        selection: What to narrow to.

    Raises:
        NotFound: The selection names an object that is neither declared nor live.
    """
    shared_view, stage_view = views
    in_use = _shared_users(declared, shared_view, usage)
    shared = _section(workspace, shared_view, declared.shared, selection, in_use=in_use)
    stage = None
    if stage_view is not None:
        stage = _section(workspace, stage_view, declared.resources, selection, present=_present(shared))
        shared = keep_needed(shared, stage.changes)
    sections = [shared] if stage is None else [shared, stage]
    _check_selection(selection.only | selection.retry, sections)
    if selection.only:
        sections = _narrowed(shared, stage, selection.only)
    return Plan(
        workspace.project,
        stage.stage if stage is not None else SHARED,
        tuple(sections),
        digests_of(sections),
        _revision(workspace),
        tuple(sorted(selection.only)),
        tuple(sorted(selection.retry)),
    )


def _revision(workspace: Workspace) -> dict[str, JSON]:
    revision = workspace.revision
    return {"commit": revision.commit, "branch": revision.branch, "dirty": revision.dirty}


def plan_scopes(workspace: Workspace, scopes: Scopes, selection: Selection = EVERYTHING) -> Plan:
    """Observe `shared` and the stage, and plan."""
    return plan_seen(workspace, scopes, look_at(scopes), selection)


def plan_seen(
    workspace: Workspace, scopes: Scopes, views: tuple[View, View | None], selection: Selection = EVERYTHING
) -> Plan:
    """Plan from what `look_at` saw."""
    declared = with_waits(scopes.declared, (o.address for o in views[0].observed), workspace.blobs)
    return plan_views(workspace, declared, views, usage_of(workspace, scopes), selection)


def _section(
    workspace: Workspace,
    view: View,
    resources: tuple[Resource, ...],
    selection: Selection,
    *,
    in_use: Mapping[Address, tuple[str, ...]] | None = None,
    present: Mapping[Address, str | None] | None = None,
) -> Section:
    wanted = Wanted(
        workspace.project,
        view.stage,
        resources,
        view.observed,
        view.baseline,
        view.targets,
        protect=workspace.stage_options(view.stage).get("protect") is True,
        retry=selection.retry,
        in_use=in_use or {},
        present=present or {},
        now=workspace.clock.time(),
    )
    return plan_section(wanted, view.drivers)


def look_at(scopes: Scopes) -> tuple[View, View | None]:
    """Observe `shared` and the stage."""
    return look(scopes.shared), look(scopes.stage) if scopes.stage is not None else None


def plan(workspace: Workspace, stage: str, *, only: Iterable[Address] = (), retry: Iterable[Address] = ()) -> Plan:
    """Plan a stage from what is declared and what is live.

    Args:
        workspace: The opened repository.
        stage: The stage, or `shared`.
        only: Narrow to these addresses and what they need.
        retry: Addresses whose denied goal is allowed again.

    Raises:
        MlopsError: A ledger, registry or compute cannot be read.
    """
    return plan_scopes(workspace, open_scopes(workspace, stage), Selection(frozenset(only), frozenset(retry)))

"""`mlops rollback`: back to what was good, in Git, and with `--now` on the target first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mlops.errors import Diagnostic, Exit, NotFound
from mlops.git import Revision
from mlops.ledger import Outcome
from mlops.pipeline.applying import Applied, ApplyRequest, Conduct, apply_scopes, origin_of
from mlops.pipeline.planning import Scopes, Selection, open_scopes
from mlops.pipeline.workspace import StageScope, Workspace
from mlops.plan import Plan
from mlops.resource import Address, Event, Kind, Resource, Rollout


@dataclass(frozen=True)
class Rollback:
    """What going back means.

    Attributes:
        address: Which endpoint.
        bad: Goal digest that is left.
        good: Goal digest that is gone back to.
        revision: What the good goal was applied from.
        patch: The change of the endpoint's files that makes Git say so again; empty where Git says so already, or where
            the good goal was applied from a tree that was never committed.
        applied: What was done on the target; None without `--now`.
    """

    address: Address
    bad: str
    good: str
    revision: Revision | None
    patch: str
    applied: Applied | None = None


@dataclass(frozen=True)
class _Good:
    goal: str
    revision: Revision | None


def find_endpoint(workspace: Workspace, stage: str, name: str) -> Address:
    """The address of an endpoint by its name or address.

    Raises:
        NotFound: The stage has none of this name.
    """
    scopes = open_scopes(workspace, stage)
    known = {r.address for r in scopes.declared.resources}
    if scopes.stage is not None:
        known |= set(scopes.stage.ledger.state().applied)
    matching = [a for a in sorted(known) if name in (str(a), a.name, a.name.partition("@")[0])]
    if len(matching) == 1:
        return matching[0]
    names = ", ".join(str(a) for a in sorted(known) if a.kind is Kind.ENDPOINT) or "none"
    problem = "is on several computes" if matching else "is not there"
    raise NotFound(Diagnostic("No such endpoint", f'"{name}" {problem} in stage {stage}.', todo=f"There are: {names}."))


def _last_good(scope: StageScope, address: Address, bad: str) -> _Good:
    """The newest goal before the present one that ended well."""
    denied = scope.ledger.state().denied.get(address, {})
    for record in scope.ledger.records(address=address):
        for result in record.results:
            ended_well = result.outcome is Outcome.DONE and result.goal is not None
            if result.address == address and ended_well and result.goal not in (bad, *denied):
                return _Good(str(result.goal), record.revision)
    raise NotFound(
        Diagnostic(
            "Nothing to go back to",
            f"The ledger of {scope.stage} knows no other goal of {address} that was good.",
            todo="See what it knows:",
            command=f"mlops history {address} --stage {scope.stage}",
        )
    )


def _patch(workspace: Workspace, stage: str, address: Address, good: _Good) -> str:
    """What changes the endpoint's files, as they are now, back; the files of other stages are theirs."""
    revision = good.revision
    if revision is None or revision.commit is None or revision.dirty:
        return ""
    folder = (workspace.root / "endpoints" / address.name.partition("@")[0]).relative_to(workspace.git.root).as_posix()
    others = tuple(f"{folder}/{other}.yaml" for other in workspace.stages if other != stage)
    return workspace.git.patch(revision.commit, folder, without=others)


def _with(scopes: Scopes, resource: Resource) -> Scopes:
    others = tuple(r for r in scopes.declared.resources if r.address != resource.address)
    return replace(scopes, declared=replace(scopes.declared, resources=(*others, resource)))


def rollback(
    workspace: Workspace, stage: str, name: str, *, now: ApplyRequest | None = None, conduct: Conduct | None = None
) -> Rollback:
    """Find the last good goal of an endpoint and prepare the revert in Git.

    Args:
        workspace: The opened repository.
        stage: The stage.
        name: The endpoint's name or address.
        now: Put the last good spec back first, and remember the present one as bad.
        conduct: How the run meets its user; needed with `now`.

    Raises:
        NotFound: There is no such endpoint, or nothing to go back to.
        MlopsError: As for apply.
    """
    address = find_endpoint(workspace, stage, name)
    scopes = open_scopes(workspace, stage)
    scope = scopes.stage
    if scope is None:
        raise NotFound(Diagnostic("No such endpoint", f"Stage {stage} has no endpoints."))
    declared = next((r for r in scopes.declared.resources if r.address == address), None)
    state = scope.ledger.state()
    present = state.applied.get(address)
    bad = present.goal if present is not None else (declared.goal if declared is not None else "")
    good = _last_good(scope, address, bad)
    result = Rollback(address, bad, good.goal, good.revision, _patch(workspace, stage, address, good))
    if now is None or conduct is None:
        return result
    spec = scope.ledger.spec(good.goal)
    if spec is None:
        raise NotFound(Diagnostic("Nothing to go back to", f"The ledger does not hold the spec {good.goal[:12]}."))
    driver = declared.driver if declared is not None else str(address.compute)
    resource = Resource(address, driver, spec, rollout=Rollout())
    reason = now.reason or "rolled back"
    selection = Selection(frozenset({address}), frozenset({address}))

    def deny() -> None:
        body = {"address": str(address), "goal": bad, "reason": reason}
        scope.ledger.append(Event.DENIED, origin_of(workspace, reason), body=body)

    request = replace(now, selection=selection, reason=reason)
    return replace(result, applied=_put_back(workspace, _with(scopes, resource), request, conduct, deny))


def _put_back(
    workspace: Workspace, scopes: Scopes, request: ApplyRequest, conduct: Conduct, deny: Callable[[], None]
) -> Applied:
    """Apply what was good. The bad goal is denied first: killed in between, the next apply would bring it back."""
    denied = False

    def confirm(plan: Plan) -> bool:
        nonlocal denied
        if not conduct.confirm(plan):
            return False
        deny()
        denied = True
        return True

    applied = apply_scopes(workspace, scopes, request, replace(conduct, confirm=confirm))
    if not denied and applied.exit_code is Exit.DONE and applied.confirmed:
        deny()
    return applied

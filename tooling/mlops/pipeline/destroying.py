"""`mlops destroy`: take away what a stage has, in order, protected and recorded."""

from __future__ import annotations

from dataclasses import replace

from mlops.errors import Blocked, Diagnostic, Exit
from mlops.pipeline.applying import Applied, ApplyRequest, Conduct, apply_scopes
from mlops.pipeline.planning import Scopes, Selection, open_scopes, plan_scopes
from mlops.pipeline.workspace import Workspace
from mlops.plan import digests_of
from mlops.resolve import Resolved
from mlops.resource import SHARED


def _emptied(scopes: Scopes) -> Scopes:
    declared = scopes.declared
    if scopes.stage is None:
        return replace(scopes, declared=Resolved(SHARED, (), ()))
    return replace(scopes, declared=Resolved(declared.stage, (), declared.shared))


def destroy(workspace: Workspace, stage: str, request: ApplyRequest, conduct: Conduct) -> Applied:
    """Delete every object of a stage. The user's agreement stands for the fuse.

    Raises:
        Blocked: The stage, or an object in it, is protected.
        MlopsError: As for apply.
    """
    if workspace.stage_options(stage).get("protect") is True:
        raise Blocked(
            Diagnostic(
                "The stage is protected",
                f"Stage {stage} has `protect: true` in mlops.yaml, so nothing of it is deleted.",
                todo="Take the protection away in a commit of its own first.",
            )
        )
    scopes = _emptied(open_scopes(workspace, stage))
    unbounded = replace(request, allow_deletes=10**9, reason=request.reason or "destroy")
    if scopes.stage is None:
        return apply_scopes(workspace, scopes, unbounded, conduct)
    plan = plan_scopes(workspace, scopes)
    own = plan.sections[-1]
    if not own.changes:
        return Applied(replace(plan, sections=(own,), digests=digests_of((own,))), (), Exit.DONE)
    # Only what the stage has: models and environments that wait to be registered are none of destroy's business.
    only = Selection(frozenset(c.address for c in own.changes))
    return apply_scopes(workspace, scopes, replace(unbounded, selection=only), conduct)

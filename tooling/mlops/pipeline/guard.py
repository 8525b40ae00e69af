"""What must hold before the first write: the fuse against mass deletion, and the stage's branch."""

from __future__ import annotations

from mlops.errors import Blocked, Diagnostic, MlopsError, StalePlan
from mlops.pipeline.planning import Scopes
from mlops.pipeline.workspace import StageScope, Workspace
from mlops.plan import Action, Plan
from mlops.plan.change import ABSENT


def check_fuse(plan: Plan, allowed: int | None) -> None:
    """Refuse more deletes and replaces than max(1, min(5, 20 % of the stage)), unless as many were allowed.

    Raises:
        Blocked: Too many.
    """
    for section in plan.sections:
        destructive = [c for c in section.changes if c.action in (Action.DELETE, Action.REPLACE) and c.basis != ABSENT]
        count = len(destructive)
        bound = section.fuse if allowed is None else allowed
        if count > bound:
            names = [str(c.address) for c in destructive]
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise Blocked(
                Diagnostic(
                    "Too many deletions",
                    f"Of {section.live} objects of {section.stage}, {count} would be deleted or replaced: {shown}. "
                    f"{f'Allowed without being asked for: {bound}' if allowed is None else f'You allowed {allowed}'}.",
                    todo="If that is meant, say how many:",
                    command=f"mlops apply --stage {plan.stage} --allow-deletes {count}",
                )
            )


def check_revision(workspace: Workspace, scopes: Scopes) -> None:
    """A stage that names a branch is applied from clean commits of it, and never from before what was applied last.

    Raises:
        Blocked: Another branch, or a tree with changes.
        StalePlan: What was applied last is not an ancestor of what is checked out.
    """
    stage = scopes.stage
    if stage is None:
        return
    branch = workspace.stage_options(stage.stage).get("branch")
    if not isinstance(branch, str):
        return
    revision = workspace.revision
    if revision.commit is None or not _is_on(workspace, branch):
        where = f"branch {revision.branch}" if revision.branch else f"commit {(revision.commit or 'none')[:12]}"
        raise Blocked(
            Diagnostic(
                "Not the branch of this stage",
                f"Stage {stage.stage} is applied from branch {branch} only; checked out is {where}.",
                todo="Merge first, and apply from there:",
                command=f"git switch {branch}",
            )
        )
    if revision.dirty:
        raise Blocked(
            Diagnostic(
                "The work tree has changes",
                f"Stage {stage.stage} names branch {branch}, so only what is committed there may be applied.",
                todo="See what is not committed:",
                command="git status",
            )
        )
    _check_ancestry(workspace, stage, revision.commit)


def _is_on(workspace: Workspace, branch: str) -> bool:
    """Whether what is checked out is the branch, or, where a CI job has no branch checked out, a commit of it."""
    revision = workspace.revision
    if revision.branch is not None or revision.commit is None:
        return revision.branch == branch
    refs = [f"refs/heads/{branch}", *(f"refs/remotes/{r}/{branch}" for r in workspace.git.remotes())]
    for ref in refs:
        try:
            if workspace.git.is_ancestor(revision.commit, ref):
                return True
        except MlopsError:
            continue
    return False


def _check_ancestry(workspace: Workspace, stage: StageScope, commit: str) -> None:
    last = stage.ledger.state().revision
    if last is None or last.commit is None or last.commit == commit:
        return
    if not workspace.git.is_ancestor(last.commit, commit):
        raise StalePlan(
            Diagnostic(
                "An older revision than the one applied last",
                f"Stage {stage.stage} was last applied from {last.commit[:12]}, which {commit[:12]} does not contain: "
                "applying it would roll the stage back unseen.",
                todo="Apply the branch's newest commit; to go back on purpose, revert in Git. Where the branch was "
                f"rewritten on purpose, join what it was: git merge -s ours {last.commit[:12]}",
                command="git pull",
            )
        )

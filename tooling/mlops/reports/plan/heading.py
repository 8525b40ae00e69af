"""What stands above and below a plan: from what it was made, and how much it does."""

from __future__ import annotations

from collections.abc import Mapping

from mlops.plan.change import Action, Plan
from mlops.reports.escape import plain
from mlops.reports.values import short

_ALWAYS = frozenset({Action.UPDATE, Action.DELETE, Action.NONE})
_WORDS: Mapping[Action, str] = {
    Action.CREATE: "to create",
    Action.UPDATE: "to update",
    Action.REPLACE: "to replace",
    Action.DELETE: "to delete",
    Action.WAIT: "waiting",
    Action.BLOCKED: "blocked",
    Action.NONE: "unchanged",
}


def summary_line(plan: Plan) -> str:
    """`1 to update, 0 to delete, 5 unchanged`; actions without an object are named where their absence tells."""
    counts = plan.summary.counts
    said = ((counts.get(action, 0), action, words) for action, words in _WORDS.items())
    return ", ".join(f"{count:,} {words}" for count, action, words in said if count or action in _ALWAYS)


def revision_text(plan: Plan) -> str:
    """What was checked out: branch, commit, and whether there were changes; and what the plan was narrowed to."""
    commit, branch = plan.revision.get("commit"), plan.revision.get("branch")
    parts = [str(branch) if branch else "", short(str(commit)) if commit else "no commit yet"]
    dirty = ", with uncommitted changes" if plan.revision.get("dirty") else ""
    only = f"; only {', '.join(map(str, plan.only))}" if plan.only else ""
    retry = f"; tries {', '.join(map(str, plan.retry))} again" if plan.retry else ""
    return plain(" ".join(filter(None, parts)) + dirty + only + retry)

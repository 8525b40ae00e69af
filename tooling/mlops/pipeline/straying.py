"""What somebody else changed while a rollout is under way.

The plan compares with what the rollout started from, so what was set back to that looks like an edit that is still to
be made. The ledger has the whole spec of the step that is live, which leaves no doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlops.diff import diff
from mlops.ledger.state import Progress
from mlops.resource import FieldChange, FieldEffect, FieldRule, Observed, Spec
from mlops.rules import same


def strayed(
    live: Observed, progress: Progress, spec: Callable[[str], Spec | None], rules: Sequence[FieldRule]
) -> tuple[FieldChange, ...]:
    """The fields in which a live endpoint differs from the step of its rollout.

    Args:
        live: What is live.
        progress: Its rollout under way.
        spec: Looks up a spec by its digest.
        rules: The driver's.

    Returns:
        Live names stand for deployments. Nothing where the step may not have been put yet.
    """
    step = spec(progress.spec)
    if step is None or live.stamp is None or live.stamp.goal != progress.goal or not _was_put(live, progress):
        return ()
    return tuple(f for f in diff(step, step, live.spec, rules) if f.effect is not FieldEffect.IGNORED)


def _was_put(live: Observed, progress: Progress) -> bool:
    """Whether the live spec comes from the step that is recorded: a run may have ended between record and put."""
    traffic = live.spec.get("traffic")
    return progress.done or (progress.weights != progress.before and same(traffic, progress.weights))

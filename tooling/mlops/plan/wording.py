"""The same content in other words: a default that is written out, or not written any more."""

from __future__ import annotations

from dataclasses import replace

from mlops.diff import diff
from mlops.plan.wanted import Wanted
from mlops.resource import Observed, Resource


def in_applied_words(resource: Resource, live: Observed | None, wanted: Wanted) -> Resource:
    """The resource with the spec that is live, where the two differ only in whether defaults are written out.

    So nothing is to be done for it, and a rollout under way goes on.

    Args:
        resource: As declared.
        live: What is live; None where nothing is.
        wanted: What the ledger knows, and the driver's rules.
    """
    goal = live.stamp.goal if live is not None and live.stamp is not None else None
    if goal is None or goal == resource.goal:
        return resource
    applied = wanted.baseline.spec(goal)
    if applied is None:
        return resource
    changed = diff(resource.spec, applied, applied, wanted.targets[resource.driver].rules)
    return resource if any(True for _ in changed) else replace(resource, spec=applied)

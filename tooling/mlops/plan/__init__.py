"""What will be done, decided before anything is done.

A plan is a frozen value that fully determines apply; flags and modes never reach the executor. Planning reads declared
resources, live objects and the ledger's folded state, and runs nobody's code.
"""

from mlops.plan.baseline import Baseline, RolloutState
from mlops.plan.change import Action, Change, Digests, Plan, Section, Summary
from mlops.plan.decide import narrow, plan_section
from mlops.plan.digests import digests_of
from mlops.plan.keep import keep_needed
from mlops.plan.unfinished import left_over

__all__ = [
    "Action",
    "Baseline",
    "Change",
    "Digests",
    "Plan",
    "RolloutState",
    "Section",
    "Summary",
    "digests_of",
    "keep_needed",
    "left_over",
    "narrow",
    "plan_section",
]

"""From declared resources, live objects and the ledger to one decision an object. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from mlops.diff import diff, severity
from mlops.plan.adoption import ADOPTED, adoptable
from mlops.plan.change import EFFECTIVE, Action, Change, Section
from mlops.plan.keep import keep_needed
from mlops.plan.live import basis_of, foreign, is_of, is_settled, uses_of
from mlops.plan.order import ordered
from mlops.plan.steps import PlannedSteps, plan_steps
from mlops.plan.unfinished import remains
from mlops.plan.wanted import Wanted
from mlops.plan.wording import in_applied_words
from mlops.resource import (
    Address,
    FieldChange,
    FieldEffect,
    FieldRule,
    HealthState,
    Kind,
    Observed,
    Resource,
    by_address,
)
from mlops.rollout import DECLARED_NAME, from_live, to_live

AS_DECLARED = "as declared"
_SERVES = (HealthState.HEALTHY, HealthState.TRANSITIONING)


def _declared_form(live: Observed) -> Observed:
    return replace(live, spec=from_live(live.spec)) if live.address.kind is Kind.ENDPOINT else live


def _fields(resource: Resource, live: Observed, wanted: Wanted) -> tuple[FieldChange, ...]:
    rules = wanted.targets[resource.driver].rules
    before = live.stamp.goal if live.stamp is not None else None
    under_way = wanted.baseline.rollouts.get(resource.address)
    if under_way is not None and under_way.goal == before:
        before = under_way.base
    applied = wanted.baseline.spec(before) if before is not None else None
    return tuple(diff(resource.spec, applied, _declared_form(live).spec, rules))


def _missing(resource: Resource, wanted: Wanted) -> tuple[str, ...]:
    """What a resource needs that will not be there."""
    absent = [f"{a} ({wanted.present[a]})" for a in sorted(resource.after) if wanted.present.get(a) is not None]
    return (*resource.waits, *absent)


def _denied(resource: Resource, wanted: Wanted) -> str | None:
    reason = wanted.baseline.denied.get(resource.address, {}).get(resource.goal)
    if reason is None or resource.address in wanted.retry:
        return None
    return f"this goal was returned from before: {reason}"


def _update(change: Change, resource: Resource, live: Observed, wanted: Wanted) -> Change:
    """Decide about an object that is live, ours, and not exactly as wanted."""
    fields = change.fields
    effect = severity(fields)
    if effect is FieldEffect.IMMUTABLE:
        paths = ", ".join(f.path for f in fields if f.effect is FieldEffect.IMMUTABLE)
        why = next(f.reason for f in fields if f.effect is FieldEffect.IMMUTABLE)
        return replace(change, action=Action.BLOCKED, reason=f"{paths}: {why}")
    if effect is FieldEffect.REPLACE:
        if resource.protect:
            return replace(change, action=Action.BLOCKED, reason="protected: it would be deleted and made again")
        paths = ", ".join(f"{f.path} ({f.reason})" for f in fields if f.effect is FieldEffect.REPLACE)
        steps = plan_steps(resource, None, wanted)
        return replace(change, action=Action.REPLACE, reason=paths, steps=steps.steps)
    steps = plan_steps(resource, live, wanted)
    soaking = wanted.baseline.rollouts.get(resource.address)
    well = live.health_of(steps.steps[0].check).state in _SERVES
    if steps.resumes and soaking is not None and soaking.soaks(wanted.now) and well:
        until = f"paused until {_moment(soaking.paused_until or 0.0)}"
        return replace(change, action=Action.WAIT, reason="the step under way is soaking", waits=(until,))
    return _stepped(replace(change, action=Action.UPDATE, reason=steps.reason or _reason(fields)), steps)


def _moment(epoch: float) -> str:
    return datetime.fromtimestamp(math.ceil(epoch), UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _reason(fields: Sequence[FieldChange]) -> str:
    reasons = dict.fromkeys(f.reason.partition(";")[0] for f in fields if f.effect is not FieldEffect.IGNORED)
    return "; ".join(reasons) or "another version is live beside the wanted one"


def _unconfirmed(resource: Resource, wanted: Wanted) -> bool:
    """Whether no run has recorded this goal as done, or the end of its rollout: it was killed, or never saw it well."""
    baseline = wanted.baseline
    return baseline.applied.get(resource.address) != resource.goal or resource.address in baseline.rollouts


def _stays(change: Change, live: Observed, rules: Sequence[FieldRule]) -> bool:
    """Whether what differs is suppressed or absent, and no second version is live beside the wanted one."""
    if any(f.effect is not FieldEffect.IGNORED for f in change.fields):
        return False
    if live.address.kind is not Kind.ENDPOINT or change.desired is None:
        return True
    wanted = to_live(change.desired.spec, rules).get("deployments")
    deployments = live.spec.get("deployments")
    if not isinstance(wanted, Mapping) or not isinstance(deployments, Mapping):
        return True
    ours = {name for name, value in deployments.items() if isinstance(value, Mapping) and DECLARED_NAME in value}
    return ours == set(wanted)


def _decide(resource: Resource, live: Observed | None, wanted: Wanted) -> Change:
    target = wanted.targets[resource.driver]
    change = Change(resource.address, Action.NONE, "", resource.driver, desired=resource, goal=resource.goal)
    if live is not None:
        change = replace(
            change,
            basis=basis_of(live, target.rules),
            before=live.stamp.goal if live.stamp is not None else None,
            health=live.health,
            uses=uses_of(live),
        )
    settled = live is not None and is_settled(resource, live, target.rules)
    if (stopped := _stopped(change, live, wanted, settled=settled)) is not None:
        return stopped
    if denied := _denied(resource, wanted):
        return _last_good(change, resource, live, wanted, denied)
    if live is None:
        gone = resource.address in wanted.baseline.applied
        reason = "gone from the target, will be created" if gone else "declared and not live"
        change = replace(change, action=Action.CREATE, reason=reason)
        return _stepped(change, plan_steps(resource, None, wanted))
    if settled:
        return _confirm(change, resource, live, wanted)
    return _compare(replace(change, fields=_fields(resource, live, wanted)), resource, live, wanted)


def _stopped(change: Change, live: Observed | None, wanted: Wanted, *, settled: bool) -> Change | None:
    """What keeps an object from being looked at further: it is not ours, is as wanted, or needs what is not there."""
    resource = change.desired
    if live is not None and (why := foreign(live, wanted)):
        if resource is None or not adoptable(resource, live, wanted.targets[resource.driver].rules):
            return replace(change, action=Action.BLOCKED, reason=why)
        return _stepped(replace(change, action=Action.UPDATE, reason=ADOPTED), plan_steps(resource, live, wanted))
    if resource is None or (settled and not _unconfirmed(resource, wanted)):
        return replace(change, reason=AS_DECLARED)
    if missing := _missing(resource, wanted):
        return replace(change, action=Action.WAIT, reason="not there yet", waits=missing)
    return None


def _last_good(change: Change, resource: Resource, live: Observed | None, wanted: Wanted, denied: str) -> Change:
    """A goal that was found bad is not tried again: what was good before it is kept, or put back."""
    good = wanted.baseline.good.get(resource.address)
    spec = wanted.baseline.spec(good) if good is not None and good != resource.goal else None
    blocked = replace(change, action=Action.BLOCKED, reason=denied)
    if spec is None:
        return blocked
    needed = resource.after | uses_of(Observed(resource.address, spec, None))
    back = _decide(replace(resource, spec=spec, after=needed), live, wanted)
    if back.action is Action.NONE:
        return blocked
    return replace(back, reason=f"back to what was good last ({back.reason}): {denied}")


def _stepped(change: Change, steps: PlannedSteps) -> Change:
    return replace(change, steps=steps.steps, start=steps.start, start_goal=steps.start_goal)


def _compare(change: Change, resource: Resource, live: Observed, wanted: Wanted) -> Change:
    """Decide about an object that is live and ours, once its differences are known."""
    if not _stays(change, live, wanted.targets[resource.driver].rules):
        return _update(change, resource, live, wanted)
    if change.before == resource.goal:
        return _confirm(change, resource, live, wanted)
    last = plan_steps(resource, live, wanted).steps[-1:]
    reason = "same content, stamped for another goal"
    return replace(change, action=Action.UPDATE, reason=reason, steps=last, start=live.spec, start_goal=change.before)


def _confirm(change: Change, resource: Resource, live: Observed, wanted: Wanted) -> Change:
    """Put what is live as declared once more where no run has seen it healthy; with the way back of its rollout."""
    if not _unconfirmed(resource, wanted):
        return replace(change, reason=AS_DECLARED)
    under_way = wanted.baseline.rollouts.get(resource.address)
    resumed = under_way is not None and under_way.goal == resource.goal
    planned = plan_steps(resource, live if resumed else None, wanted)
    steps = tuple(replace(s, title="look whether it is healthy") for s in planned.steps)
    reason = f"{AS_DECLARED}, and no run has recorded that it became healthy"
    return _stepped(replace(change, action=Action.UPDATE, reason=reason), replace(planned, steps=steps))


def _undeclared(live: Observed, wanted: Wanted, driver: str) -> Change | None:
    """Decide about a live object that nothing declares; None where it is none of ours."""
    if live.stamp is None or not is_of(live, wanted):
        return None
    rules = wanted.targets[driver].rules if driver in wanted.targets else ()
    change = Change(
        live.address,
        Action.DELETE,
        "no longer declared",
        driver,
        basis=basis_of(live, rules),
        before=live.stamp.goal,
        health=live.health,
        uses=uses_of(live),
    )
    if why := foreign(live, wanted):
        return replace(change, action=Action.BLOCKED, reason=why)
    if users := wanted.in_use.get(live.address):
        return replace(change, action=Action.NONE, reason=f"no longer declared, kept while used by {', '.join(users)}")
    if live.spec.get("protect", wanted.protect) is True:
        return replace(
            change, action=Action.BLOCKED, reason="protected: it is no longer declared and may not be deleted"
        )
    return change


def _blocked_by(change: Change, changes: Mapping[Address, Change]) -> Change:
    """A change that needs a waiting or blocked object waits with it."""
    if change.desired is None or change.action not in EFFECTIVE:
        return change
    stuck = [changes[a] for a in sorted(change.desired.after) if a in changes]
    waits = tuple(str(c.address) for c in stuck if c.action in (Action.WAIT, Action.BLOCKED))
    if not waits:
        return change
    return replace(change, action=Action.WAIT, reason="not there yet", waits=waits, steps=(), start=None)


def plan_section(wanted: Wanted, drivers: Mapping[Address, str]) -> Section:
    """Plan one section.

    Args:
        wanted: Everything it is planned from.
        drivers: Per live address, the name of the driver that observed it.

    Returns:
        Every object that is declared, live and ours, or known to the ledger only, in the order in which it is done.
    """
    live = by_address(wanted.observed)
    changes: dict[Address, Change] = {}
    for resource in wanted.resources:
        found = live.get(resource.address)
        changes[resource.address] = _decide(in_applied_words(resource, found, wanted), found, wanted)
    ours = 0
    for address, observed in live.items():
        if is_of(observed, wanted):
            ours += 1
        if address not in changes:
            change = _undeclared(observed, wanted, drivers.get(address, ""))
            if change is not None:
                changes[address] = change
    changes |= {change.address: change for change in remains(wanted, changes.keys() | live.keys())}
    done: dict[Address, Change] = {}
    for change in ordered(changes):
        done[change.address] = _blocked_by(change, done)
    return keep_needed(Section(wanted.stage, tuple(done.values()), ours), done.values())


def narrow(section: Section, only: Iterable[Address]) -> Section:
    """The part of a section that is about these addresses and what they need."""
    changes = {c.address: c for c in section.changes}
    found: set[Address] = set()
    pending = list(only)
    while pending:
        address = pending.pop()
        change = changes.get(address)
        if change is None or address in found:
            continue
        found.add(address)
        if change.desired is not None:
            pending.extend(change.desired.after)
    return replace(section, changes=tuple(c for c in section.changes if c.address in found))

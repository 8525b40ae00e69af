"""From declared resources, live objects and the ledger to one decision an object. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mlops.diff import carry_over, diff, owned, same, severity
from mlops.plan.change import ABSENT, EFFECTIVE, Action, Change, Section
from mlops.plan.order import ordered
from mlops.plan.steps import PlannedSteps, plan_return, plan_steps
from mlops.plan.wanted import Wanted
from mlops.resource import (
    STAMP_FORMAT,
    Address,
    FieldChange,
    FieldEffect,
    FieldRule,
    Kind,
    Observed,
    Resource,
    by_address,
    digest,
)
from mlops.rollout import DECLARED_NAME, from_live, to_live


def basis_of(live: Observed | None, declared: Resource | None, rules: Sequence[FieldRule]) -> str:
    """What must not have moved: the stamp and the live fields that are ours; never health."""
    if live is None:
        return ABSENT
    stamp = live.stamp.to_json() if live.stamp is not None else None
    return digest([stamp, owned(live.spec, declared.spec if declared else live.spec, rules)])


def uses_of(observed: Observed) -> frozenset[Address]:
    """The models and environments that a live endpoint refers to."""
    found: set[Address] = set()
    deployments = observed.spec.get("deployments")
    for deployment in deployments.values() if isinstance(deployments, Mapping) else ():
        for key, kind in (("model", Kind.MODEL), ("environment", Kind.ENVIRONMENT)):
            reference = deployment.get(key) if isinstance(deployment, Mapping) else None
            if isinstance(reference, Mapping) and "name" in reference and "version" in reference:
                found.add(Address(kind, f"{reference['name']}:{reference['version']}"))
    return frozenset(found)


def _is_settled(resource: Resource, live: Observed, rules: Sequence[FieldRule]) -> bool:
    """Whether the live object is exactly as wanted, the fast way."""
    if live.stamp is None or live.stamp.goal != resource.goal:
        return False
    wanted = to_live(resource.spec, rules) if resource.address.kind is Kind.ENDPOINT else resource.spec
    return live.spec == wanted and same(live.spec, wanted)


def _declared_form(live: Observed) -> Observed:
    return replace(live, spec=from_live(live.spec)) if live.address.kind is Kind.ENDPOINT else live


def _fields(resource: Resource, live: Observed, wanted: Wanted) -> tuple[FieldChange, ...]:
    rules = wanted.targets[resource.driver].rules
    before = live.stamp.goal if live.stamp is not None else None
    applied = wanted.baseline.spec(before) if before is not None else None
    return tuple(diff(resource.spec, applied, _declared_form(live).spec, rules))


def _foreign(live: Observed, wanted: Wanted) -> str | None:
    """Why an object under our name must not be touched; None where it is ours."""
    stamp = live.stamp
    if stamp is None:
        return "an object of this name exists and carries no stamp of ours: it was not made by this project"
    if stamp.format > STAMP_FORMAT:
        return f"the live object carries a stamp of format {stamp.format}: a newer toolkit manages it; upgrade this one"
    if (stamp.project, stamp.stage) != (wanted.project, wanted.stage):
        return f"the live object belongs to project {stamp.project}, stage {stamp.stage}"
    if not wanted.baseline.exists:
        return "the live object is ours but its ledger is not to be found: fetch the ledger branch before planning"
    return None


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
    rules = wanted.targets[resource.driver].rules
    fields = change.fields
    effect = severity(fields)
    if effect is FieldEffect.IMMUTABLE:
        paths = ", ".join(f.path for f in fields if f.effect is FieldEffect.IMMUTABLE)
        why = next(f.reason for f in fields if f.effect is FieldEffect.IMMUTABLE)
        return replace(change, action=Action.BLOCKED, reason=f"{paths}: {why}")
    if effect is FieldEffect.REPLACE:
        if resource.protect or wanted.protect:
            return replace(change, action=Action.BLOCKED, reason="protected: it would be deleted and made again")
        paths = ", ".join(f"{f.path} ({f.reason})" for f in fields if f.effect is FieldEffect.REPLACE)
        steps = plan_steps(resource, None, wanted.baseline, wanted.targets[resource.driver])
        return replace(change, action=Action.REPLACE, reason=paths, steps=steps.steps)
    steps = plan_steps(resource, live, wanted.baseline, wanted.targets[resource.driver])
    paused = wanted.baseline.rollouts.get(resource.address)
    if steps.resumes and paused is not None and (paused.paused_until or 0) > wanted.now:
        until = f"paused until {paused.paused_until:.0f}"
        return replace(change, action=Action.WAIT, reason="the step under way is soaking", waits=(until,))
    reason = steps.reason or _reason(fields)
    carried = tuple(replace(s, spec=carry_over(s.spec, live.spec, rules)) for s in steps.steps)
    return _stepped(replace(change, action=Action.UPDATE, reason=reason), replace(steps, steps=carried))


def _reason(fields: Sequence[FieldChange]) -> str:
    reasons = dict.fromkeys(f.reason.partition(";")[0] for f in fields if f.effect is not FieldEffect.IGNORED)
    return "; ".join(reasons)


def _unconfirmed(resource: Resource, wanted: Wanted) -> bool:
    """Whether no finished run has recorded this goal: a run was killed, or it never became healthy."""
    return wanted.baseline.applied.get(resource.address) != resource.goal


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
            basis=basis_of(live, resource, target.rules),
            before=live.stamp.goal if live.stamp is not None else None,
            health=live.health,
            uses=uses_of(live),
        )
    if (stopped := _stopped(change, resource, live, wanted)) is not None:
        return stopped
    if live is not None and _is_settled(resource, live, target.rules):
        return _confirm(change, resource, wanted)
    if denied := _denied(resource, wanted):
        back = plan_return(resource, live, wanted.baseline, target.rules)
        if back is None:
            return replace(change, action=Action.BLOCKED, reason=denied)
        return _stepped(replace(change, action=Action.UPDATE, reason=denied), back)
    if live is None:
        gone = resource.address in wanted.baseline.applied
        reason = "gone from the target, will be created" if gone else "declared and not live"
        change = replace(change, action=Action.CREATE, reason=reason)
        return _stepped(change, plan_steps(resource, None, wanted.baseline, target))
    return _compare(replace(change, fields=_fields(resource, live, wanted)), resource, live, wanted)


def _stopped(change: Change, resource: Resource, live: Observed | None, wanted: Wanted) -> Change | None:
    """What keeps an object from being looked at further: it is not ours, or needs what is not there."""
    if live is not None and (foreign := _foreign(live, wanted)):
        return replace(change, action=Action.BLOCKED, reason=foreign)
    if missing := _missing(resource, wanted):
        return replace(change, action=Action.WAIT, reason="not there yet", waits=missing)
    return None


def _stepped(change: Change, steps: PlannedSteps) -> Change:
    return replace(change, steps=steps.steps, start=steps.start, start_goal=steps.start_goal)


def _compare(change: Change, resource: Resource, live: Observed, wanted: Wanted) -> Change:
    """Decide about an object that is live and ours, once its differences are known."""
    target = wanted.targets[resource.driver]
    if _stays(change, live, target.rules):
        if live.stamp is not None and live.stamp.goal == resource.goal:
            return _confirm(change, resource, wanted)
        last = plan_steps(resource, live, wanted.baseline, target).steps[-1:]
        reason = "same content, stamped for another goal"
        return replace(
            change, action=Action.UPDATE, reason=reason, steps=last, start=live.spec, start_goal=change.before
        )
    return _update(change, resource, live, wanted)


def _confirm(change: Change, resource: Resource, wanted: Wanted) -> Change:
    if not _unconfirmed(resource, wanted):
        return replace(change, reason="as declared")
    target = wanted.targets[resource.driver]
    last = plan_steps(resource, None, wanted.baseline, target).steps
    reason = "as declared, and no run has recorded that it became healthy"
    return replace(change, action=Action.UPDATE, reason=reason, steps=last)


def _undeclared(live: Observed, wanted: Wanted, driver: str) -> Change | None:
    """Decide about a live object that nothing declares; None where it is none of ours."""
    stamp = live.stamp
    if stamp is None or (stamp.project, stamp.stage) != (wanted.project, wanted.stage):
        return None
    rules = wanted.targets[driver].rules if driver in wanted.targets else ()
    change = Change(
        live.address,
        Action.DELETE,
        "no longer declared",
        driver,
        basis=basis_of(live, None, rules),
        before=stamp.goal,
        health=live.health,
        uses=uses_of(live),
    )
    if foreign := _foreign(live, wanted):
        return replace(change, action=Action.BLOCKED, reason=foreign)
    if users := wanted.in_use.get(live.address):
        return replace(change, action=Action.NONE, reason=f"no longer declared, kept while used by {', '.join(users)}")
    if wanted.protect or live.spec.get("protect") is True:
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
        Every object that is declared or live and ours, in the order in which it is done.
    """
    live = by_address(wanted.observed)
    changes: dict[Address, Change] = {}
    for resource in wanted.resources:
        changes[resource.address] = _decide(resource, live.get(resource.address), wanted)
    ours = 0
    for address, observed in live.items():
        if observed.stamp is not None and observed.stamp.stage == wanted.stage:
            ours += 1
        if address not in changes:
            change = _undeclared(observed, wanted, drivers.get(address, ""))
            if change is not None:
                changes[address] = change
    done: dict[Address, Change] = {}
    for change in ordered(changes):
        done[change.address] = _blocked_by(change, done)
    return Section(wanted.stage, tuple(done.values()), ours)


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

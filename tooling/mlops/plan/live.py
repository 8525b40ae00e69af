"""What planning reads off one live object: whose it is, what it uses, and whether it is as wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlops.plan.change import ABSENT
from mlops.plan.wanted import Wanted
from mlops.resource import STAMP_FORMAT, Address, FieldRule, Kind, Observed, Resource, digest
from mlops.rollout import to_live
from mlops.rules import owned, same


def basis_of(live: Observed | None, rules: Sequence[FieldRule]) -> str:
    """What must not have moved: the stamp and the live fields that are ours; never health."""
    if live is None:
        return ABSENT
    stamp = live.stamp.to_json() if live.stamp is not None else None
    return digest([stamp, owned(live.spec, live.spec, rules)])


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


def is_settled(resource: Resource, live: Observed, rules: Sequence[FieldRule]) -> bool:
    """Whether the live object is exactly as wanted, the fast way."""
    if live.stamp is None or live.stamp.goal != resource.goal:
        return False
    if resource.address.kind is not Kind.ENDPOINT:
        return live.spec == resource.spec and digest(live.spec) == resource.goal
    return same(live.spec, to_live(resource.spec, rules))


def is_of(live: Observed, wanted: Wanted) -> bool:
    """Whether a live object carries the stamp of this project and stage."""
    stamp = live.stamp
    return stamp is not None and (stamp.project, stamp.stage) == (wanted.project, wanted.stage)


def foreign(live: Observed, wanted: Wanted) -> str | None:
    """Why an object under our name must not be touched; None where it is ours."""
    stamp = live.stamp
    if stamp is None:
        return "an object of this name exists and carries no stamp of ours: it was not made by this project"
    if stamp.format > STAMP_FORMAT:
        return f"the live object carries a stamp of format {stamp.format}: a newer toolkit manages it; upgrade this one"
    if not is_of(live, wanted):
        return f"the live object belongs to project {stamp.project}, stage {stamp.stage}"
    if stamp.address != str(live.address):
        return f"the live object carries the stamp of {stamp.address}: it is a copy that this project did not make"
    if not wanted.baseline.exists:
        return "the live object is ours but its ledger is not to be found: fetch the ledger branch before planning"
    return None

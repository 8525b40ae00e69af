"""The lease: a ref beside the branch that shows that the holder of the lock still lives.

It is not made before the first renewal, so a short run never needs it: until then its *started* record stands for it.
Whoever closes another's run moves the lease in the same transaction, so that the old holder's next renewal fails.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from mlops.git.storage import NewObject, ObjectKind, make_object
from mlops.ledger.branch import Branch
from mlops.ledger.clock import to_text
from mlops.ledger.fields import Fields, Malformed
from mlops.ledger.tip import parse

LEASE_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lease lasts, in seconds.

    Attributes:
        renewal: Between two renewals.
        retry: Before another try, when a renewal failed.
        expiry: After the last renewal, before somebody else may take the lock.
        safety: Before that, when the holder stops to trust it.
    """

    renewal: float = 30.0
    retry: float = 5.0
    expiry: float = 90.0
    safety: float = 10.0


@dataclass(frozen=True, slots=True)
class Lease:
    """What the lease's ref points to.

    Attributes:
        oid: The object; it changes with every renewal.
        run: The run that it belongs to; a lease of another run than the open one means nothing.
        renewed: Epoch seconds by the holder's wall clock.
        uptime: Uptime of the holder's machine in seconds.
        count: How often it was renewed.
        closed: Whether another run closed this one.
    """

    oid: str
    run: str
    renewed: float
    uptime: float
    count: int
    closed: bool = False


def make_lease(lease: Lease, hash_name: str) -> NewObject:
    """The object of a lease; its `oid` is ignored."""
    value = {
        "format": LEASE_FORMAT,
        "run": lease.run,
        "renewed": to_text(lease.renewed),
        "uptime": round(lease.uptime, 3),
        "count": lease.count,
        "closed": lease.closed,
    }
    return make_object(ObjectKind.BLOB, json.dumps(value, sort_keys=True).encode() + b"\n", hash_name)


def read_lease(branch: Branch) -> Lease | None:
    """The lease as it was last seen; None where there is none, or none that can be read."""
    found = branch.git.objects.read((branch.seen_lease,))[0]
    if found is None:
        return None
    try:
        fields = Fields(parse(found.content), "the lease")
        uptime = fields.take("uptime")
        if fields.integer("format") != LEASE_FORMAT or not isinstance(uptime, int | float):
            return Lease(found.oid, "", 0.0, 0.0, 0)
        return Lease(
            found.oid,
            fields.text("run"),
            fields.moment("renewed"),
            float(uptime),
            fields.integer("count"),
            fields.boolean("closed"),
        )
    except Malformed:
        return Lease(found.oid, "", 0.0, 0.0, 0)

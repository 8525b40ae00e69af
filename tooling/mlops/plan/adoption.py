"""When a version that somebody else registered is the one that Git declares.

A version is its content: one that a training job put into the registry, with exactly the content that Git declares
under its number, is that version, whoever registered it. Putting it only adds the stamp. Any other object without a
stamp may serve somebody, and is never taken over.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlops.diff import diff, severity
from mlops.resource import FieldEffect, FieldRule, Kind, Observed, Resource

ADOPTED = "registered by somebody else with the content that Git declares now"


def adoptable(resource: Resource, live: Observed, rules: Sequence[FieldRule]) -> bool:
    """Whether a live object without a stamp may be stamped as the declared one.

    Args:
        resource: What is declared under its address.
        live: The live object.
        rules: Field rules of its driver.
    """
    if live.stamp is not None or live.address.kind not in (Kind.MODEL, Kind.ENVIRONMENT):
        return False
    differences = (*diff(resource.spec, None, live.spec, rules), *diff(live.spec, None, resource.spec, rules))
    return severity(differences) is not FieldEffect.IMMUTABLE

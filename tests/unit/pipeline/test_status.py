"""What is live, and what should be."""

from __future__ import annotations

from tests.features.workshop import Workshop

from mlops.pipeline.status import status
from mlops.resource import Address, HealthState

FRAUD = Address.parse("endpoint/fraud@here")


def test_what_was_applied_and_is_gone_is_told(workshop: Workshop) -> None:
    workshop.apply()
    del workshop.far().objects[FRAUD]
    with workshop.opened() as workspace:
        (found,) = status(workspace, "dev")
    assert (found.address, found.health.state) == (FRAUD, HealthState.FAILED)
    assert found.health.reason.startswith("gone from the target")
    assert found.since is not None


def test_what_was_deleted_by_an_apply_is_not_missed(workshop: Workshop) -> None:
    workshop.apply()
    workshop.remove("endpoints/fraud/dev.yaml")
    workshop.apply()
    with workshop.opened() as workspace:
        assert status(workspace, "dev") == ()

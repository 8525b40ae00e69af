"""Questions to a ledger that it cannot answer."""

from __future__ import annotations

import pytest
from tests.features.workshop import Workshop

from mlops.errors import NotFound
from mlops.pipeline.history import history
from mlops.resource import Address


def test_an_object_without_a_record_is_not_taken_for_a_stage_without_history(workshop: Workshop) -> None:
    workshop.apply()
    with workshop.opened() as workspace, pytest.raises(NotFound, match='Did you mean "endpoint/fraud@here"') as caught:
        history(workspace, "dev", address=Address.parse("endpoint/fruad@here"))
    assert caught.value.diagnostics[0].command == "mlops history --stage dev"


def test_a_stage_without_history_is_none_that_fails(workshop: Workshop) -> None:
    with workshop.opened() as workspace:
        assert history(workspace, "dev") == ()

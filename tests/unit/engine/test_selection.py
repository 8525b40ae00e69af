"""A plan that is narrowed deletes nothing that what is left out still needs; a snapshot plans as its source does."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.features.workshop import Workshop
from tests.unit.engine.journal import Killed
from tests.unit.engine.world import versions

from mlops.errors import Exit, NotFound
from mlops.pipeline.snapshot import plan_from, read_snapshot, take_snapshot
from mlops.plan import Action
from mlops.plan.file import change_to_json
from mlops.resource import Address, Event, Health, HealthState

MODEL = Address.parse("model/fraud:1")
ENDPOINT = Address.parse("endpoint/fraud@here")


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Version 1 serves; Git has left it for version 2."""
    made = Workshop.begin(tmp_path / "clone")
    made.add_model("fraud:1")
    made.declare("fraud", "dev", "fraud:1")
    made.apply()
    made.remove("models/fraud/1.yaml", "models/fraud/1.onnx")
    made.add_model("fraud:2")
    made.declare("fraud", "dev", "fraud:2")
    return made


def test_a_model_is_kept_for_an_endpoint_that_the_selection_leaves_as_it_is(workshop: Workshop) -> None:
    (whole,) = (c for c in workshop.plan().changes if c.address == MODEL)
    assert whole.action is Action.DELETE
    (change,) = workshop.plan(only=[MODEL]).changes
    assert (change.action, change.reason) == (Action.NONE, f"no longer declared, kept for {ENDPOINT}")


def test_a_selection_holds_what_an_object_needs_and_nothing_else(workshop: Workshop) -> None:
    names = {str(c.address) for c in workshop.plan(only=[ENDPOINT]).changes}
    assert names == {"model/fraud:2", "environment/plain:1", str(ENDPOINT)}


def test_an_unknown_address_is_refused_with_a_guess(workshop: Workshop) -> None:
    with pytest.raises(NotFound, match=r'Did you mean "endpoint/fraud@here"'):
        workshop.plan(only=[Address.parse("endpoint/fruad@here")])


def test_an_old_place_is_kept_when_only_it_is_selected(workshop: Workshop) -> None:
    workshop.declare("fraud", "dev", "fraud:2", compute="there")
    (change,) = workshop.plan(only=[ENDPOINT]).changes
    assert (change.action, change.reason) == (Action.NONE, "no longer declared, kept for endpoint/fraud@there")


def test_a_snapshot_gives_the_plan_that_its_source_gave(workshop: Workshop) -> None:
    """Also about a goal that was found bad, for which it has to know what was good before."""
    workshop.far().judge = lambda _a, spec: Health(HealthState.FAILED, "no") if "2" in versions(spec) else None
    workshop.apply()
    workshop.far().judge = None
    del workshop.far().objects[ENDPOINT]
    with workshop.opened() as workspace:
        data = take_snapshot(workspace, "dev").to_bytes()
        planned = plan_from(workspace, read_snapshot(data))
    (change,) = (c for c in planned.changes if c.address == ENDPOINT)
    assert change.action is Action.CREATE
    assert "this goal was returned from before" in change.reason
    (live,) = (c for c in workshop.plan().changes if c.address == ENDPOINT)
    assert change_to_json(change) == change_to_json(live)


def test_a_run_that_died_with_nothing_left_to_do_is_closed_by_the_next(workshop: Workshop) -> None:
    def strike(verb: str, _address: Address) -> None:
        if verb == "put":
            raise Killed

    workshop.apply()
    workshop.declare("fraud", "dev", "fraud:2", more="description: another\n")
    workshop.far().before = strike
    with pytest.raises(Killed):
        workshop.apply()
    workshop.far().before = lambda _verb, _address: None
    workshop.clock.advance(120)
    workshop.declare("fraud", "dev", "fraud:2")
    assert workshop.apply().exit_code is Exit.DONE
    with workshop.opened() as workspace:
        ledger = workspace.ledger("dev", local=True)
        records = [r.event for r in ledger.records()]
        assert ledger.state().run is None
        assert ledger.state().intended == {}
    assert records.count(Event.STARTED) == sum(records.count(e) for e in (Event.FINISHED, Event.INTERRUPTED))

"""What a person is told while a rollout soaks."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.features.workshop import Workshop

from mlops.errors import Exit
from mlops.pipeline.history import history, served_at
from mlops.pipeline.status import drift, status
from mlops.resource import JSON, Address, Unset

FRAUD = Address.parse("endpoint/fraud@here")
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"


@pytest.fixture
def soaking(workshop: Workshop) -> Workshop:
    """A canary of fraud:2 that is paused at 10 %."""
    workshop.apply()
    workshop.declare("fraud", "dev", "fraud:2", more="rollout: {strategy: canary, weights: [10], soak: 1h}\n")
    assert workshop.apply().exit_code is Exit.WAITING
    return workshop


def test_our_own_rollout_is_no_drift(soaking: Workshop) -> None:
    with soaking.opened() as workspace:
        assert drift(workspace, "dev").changes == ()


def test_what_somebody_else_does_in_the_middle_is_drift(soaking: Workshop) -> None:
    far = soaking.far()
    address = next(iter(far.objects))
    del far.objects[address]
    with soaking.opened() as workspace:
        found = drift(workspace, "dev")
    assert found.exit_code is Exit.DRIFT
    assert [change.address for change in found.changes] == [address]


def change_by_hand(workshop: Workshop, **fields: JSON) -> None:
    """Set fields of the live endpoint past the toolkit: its stamp stays."""
    live = workshop.far().objects[FRAUD]
    workshop.far().objects[FRAUD] = replace(live, spec={**live.spec, **fields})


def found_by_drift(workshop: Workshop) -> list[tuple[str, JSON | Unset, JSON | Unset]]:
    with workshop.opened() as workspace:
        found = drift(workspace, "dev")
    assert found.exit_code is (Exit.DRIFT if found.changes else Exit.DONE)
    return [(field.path, field.applied, field.live) for change in found.changes for field in change.fields]


def test_what_is_set_back_to_what_the_rollout_started_from_is_drift(workshop: Workshop) -> None:
    """It equals the base, from which the goal differs, so it could be taken for an edit that is still to be made."""
    workshop.apply()
    more = "auth_mode: key\nrollout: {strategy: canary, weights: [10], soak: 1h}\n"
    workshop.declare("fraud", "dev", "fraud:2", more=more)
    assert workshop.apply().exit_code is Exit.WAITING
    assert found_by_drift(workshop) == []
    change_by_hand(workshop, auth_mode="none")
    assert found_by_drift(workshop) == [("auth_mode", "key", "none")]
    assert workshop.apply().exit_code is Exit.WAITING
    assert found_by_drift(workshop) == []


def test_weights_that_somebody_else_shifts_between_the_two_versions_are_drift(soaking: Workshop) -> None:
    weights = soaking.far().objects[FRAUD].spec["traffic"]
    assert isinstance(weights, dict)
    (old, _), (new, _) = sorted(weights.items(), key=lambda item: -item[1])
    change_by_hand(soaking, traffic={old: 50, new: 50})
    assert sorted(found_by_drift(soaking)) == sorted([(f"traffic.{old}", 90, 50), (f"traffic.{new}", 10, 50)])


def test_other_weights_for_a_rollout_in_git_are_no_drift(soaking: Workshop) -> None:
    soaking.declare("fraud", "dev", "fraud:2", more="rollout: {strategy: canary, weights: [20, 60], soak: 2h}\n")
    assert found_by_drift(soaking) == []


def test_times_are_written_for_people(soaking: Workshop) -> None:
    with soaking.opened() as workspace:
        told = [*(note.note for note in status(workspace, "dev")), *history(workspace, "dev", limit=2)[1].what]
    waits = [wait for change in soaking.plan().changes for wait in change.waits]
    assert all(re.fullmatch(f".*until {TIME}", text) for text in (*told, *waits))
    assert len(told) == 2
    assert len(waits) == 1


def test_an_auditor_is_told_both_sides_of_a_step_that_was_not_over(workshop: Workshop) -> None:
    """While a step soaks in a run, its traffic is live and the step is not found good yet."""
    workshop.apply()
    workshop.declare("fraud", "dev", "fraud:2", more="rollout: {strategy: blue_green, soak: 1s}\n")
    told: list[str] = []

    def ask(_verb: str, _address: Address) -> None:
        with workshop.opened() as workspace:
            told.extend(served.rollout for served in served_at(workspace, "dev", workshop.clock.time(), FRAUD).objects)

    workshop.far().after = ask
    assert workshop.apply().exit_code is Exit.DONE
    assert [text.partition(", ")[2] for text in told] == [
        "step 1 begun; served blue: fraud:1 (100 %)",
        "step 2 begun; served blue: fraud:1 (100 %), then blue: fraud:2 (100 %)",
        "step 3 begun; served blue: fraud:2 (100 %)",
    ]


def test_history_does_not_say_that_a_paused_goal_serves(soaking: Workshop) -> None:
    with soaking.opened() as workspace:
        ended = history(workspace, "dev", limit=1)[0]
    assert "serves" not in " ".join(ended.what)

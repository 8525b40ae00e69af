"""What every driver promises, asked of every driver on a real target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from mlops import drivers
from mlops.driver import Driver
from mlops.errors import TargetError
from mlops.resource import Address, Observed, Resource, Stamp, digest

if TYPE_CHECKING:
    from tests.drivers.rigs import Rig


def stamp_for(resource: Resource, project: str = "project") -> Stamp:
    return Stamp(project, "dev", str(resource.address), digest(resource.spec))


def found(driver: Driver, only: Iterable[Address] | None = None) -> dict[Address, Observed]:
    """What is live, by address; no address twice."""
    live = list(driver.observe(None if only is None else frozenset(only)))
    assert len({observed.address for observed in live}) == len(live)
    return {observed.address: observed for observed in live}


def same(left: Observed, right: Observed) -> bool:
    """Equal in all that is ours; health and traffic move by themselves."""
    return (left.spec, left.stamp, left.outputs) == (right.spec, right.stamp, right.outputs)


def put(driver: Driver, resource: Resource) -> None:
    driver.put(resource, stamp_for(resource))


@pytest.fixture
def driver(rig: Rig) -> Driver:
    return rig.make("project", "dev")


def test_every_driver_is_covered(rigged: frozenset[str]) -> None:
    assert {*drivers.names(), drivers.REGISTRY} == rigged


@pytest.mark.parametrize("name", sorted({*drivers.names(), drivers.REGISTRY}))
def test_a_driver_says_what_it_is(name: str) -> None:
    """Options with a schema, rules and refusals with reasons."""
    made = drivers.load(name)
    assert issubclass(made.Spec, BaseModel)
    assert made.Spec.model_config.get("extra") == "forbid"
    assert all(field.description for field in made.Spec.model_fields.values())
    assert all(rule.reason for rule in made.rules)
    assert all(made.refused.values())


def test_nothing_is_live_at_first(driver: Driver) -> None:
    assert found(driver) == {}


def test_observe_finds_what_was_put(rig: Rig, driver: Driver) -> None:
    resource = rig.resource(1)
    outputs = driver.put(resource, stamp_for(resource))
    live = found(driver)[resource.address]
    assert live.spec == resource.spec
    assert live.stamp == stamp_for(resource)
    assert outputs.items() <= live.outputs.items()


def test_putting_twice_is_putting_once(rig: Rig, driver: Driver) -> None:
    resource = rig.resource(1)
    first = driver.put(resource, stamp_for(resource))
    before = found(driver)
    assert driver.put(resource, stamp_for(resource)) == first
    after = found(driver)
    assert before.keys() == after.keys()
    assert same(before[resource.address], after[resource.address])


def test_a_change_in_place_is_found(rig: Rig, driver: Driver) -> None:
    put(driver, rig.resource(1))
    edited = rig.edit(rig.resource(1))
    put(driver, edited)
    live = found(driver)[edited.address]
    assert live.spec == edited.spec
    assert live.stamp == stamp_for(edited)


def test_a_field_that_is_taken_back_is_gone(rig: Rig, driver: Driver) -> None:
    put(driver, rig.edit(rig.resource(1)))
    put(driver, rig.resource(1))
    assert found(driver)[rig.resource(1).address].spec == rig.resource(1).spec


def test_another_process_finds_the_same(rig: Rig, driver: Driver) -> None:
    """The stamp survives, with everything else."""
    put(driver, rig.resource(1))
    (mine,) = found(driver).values()
    (theirs,) = found(rig.make("project", "dev")).values()
    assert same(mine, theirs)


def test_observing_changes_nothing(rig: Rig, driver: Driver) -> None:
    put(driver, rig.resource(1))
    (first,), (second,) = found(driver).values(), found(driver).values()
    assert same(first, second)


def test_only_narrows(rig: Rig, driver: Driver) -> None:
    one, two, three = (rig.resource(number) for number in (1, 2, 3))
    put(driver, one)
    put(driver, two)
    assert found(driver, [one.address, three.address]).keys() == {one.address}
    assert found(driver, [three.address]) == {}
    assert found(driver).keys() == {one.address, two.address}


def test_deleting_is_repeatable_and_touches_nothing_else(rig: Rig, driver: Driver) -> None:
    one, two = rig.resource(1), rig.resource(2)
    put(driver, one)
    put(driver, two)
    driver.delete(one.address)
    assert found(driver).keys() == {two.address}
    driver.delete(one.address)
    driver.delete(rig.resource(3).address)
    assert found(driver).keys() == {two.address}


def test_what_was_deleted_can_be_put_again(rig: Rig, driver: Driver) -> None:
    resource = rig.resource(1)
    put(driver, resource)
    driver.delete(resource.address)
    put(driver, resource)
    assert found(driver)[resource.address].spec == resource.spec


def test_somebody_elses_object_has_no_stamp_of_ours(rig: Rig, driver: Driver) -> None:
    if rig.plant is None:
        resource = rig.resource(1)
        rig.make("another", "dev").put(resource, stamp_for(resource, "another"))
    else:
        rig.plant(rig.resource(1).address)
    stamps = [observed.stamp for observed in found(driver).values()]
    assert all(stamp is None or stamp.project != "project" for stamp in stamps)


@pytest.mark.parametrize("rig", ["local", "registry"], indirect=True)
def test_content_that_is_nowhere_is_the_targets_error_and_leaves_nothing(rig: Rig, driver: Driver) -> None:
    with pytest.raises(TargetError) as raised:
        put(driver, rig.orphan(rig.resource(1)))
    assert all(problem.todo for problem in raised.value.diagnostics)
    assert found(driver) == {}


def test_what_is_read_grows_with_what_is_asked_not_with_the_estate(rig: Rig, driver: Driver) -> None:
    first = rig.resource(1)
    put(driver, first)

    def cost(only: Iterable[Address] | None) -> int:
        found(driver, only)
        before = rig.calls()
        found(driver, only)
        return rig.calls() - before

    narrow, wide = cost([first.address]), cost(None)
    for number in (2, 3, 4):
        put(driver, rig.resource(number))
    assert cost([first.address]) == narrow
    assert cost(None) <= wide + 3 * rig.calls_each

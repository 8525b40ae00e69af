"""Whatever a repository was and becomes: one apply makes it so, and then nothing is left to do."""

from __future__ import annotations

from hypothesis import given
from tests.properties.claims import assert_settled, assert_traffic_sound
from tests.properties.estates import Estate, edited_estates
from tests.unit.engine.world import World, outcomes

from mlops.resource import Address, Kind


@given(edited_estates())
def test_any_repository_edited_into_any_other_converges_in_one_apply(pair: tuple[Estate, Estate]) -> None:
    world = World()
    for estate in pair:
        execution = world.apply(estate.resources())
        assert set(outcomes(execution).values()) <= {"done", "waiting"}
        assert_settled(world, estate)


@given(edited_estates(complete=True))
def test_traffic_is_sound_after_every_single_put(pair: tuple[Estate, Estate]) -> None:
    """Clients see every state on the way, so each of them has to be able to answer."""
    world = World()

    def look(verb: str, address: Address) -> None:
        if verb == "put" and address.kind is Kind.ENDPOINT:
            assert_traffic_sound(world.live()[address].spec)

    for far in world.targets.values():
        far.after = look
    for estate in pair:
        world.apply(estate.resources())


@given(edited_estates(complete=True))
def test_going_there_and_back_leaves_what_was_there_first(pair: tuple[Estate, Estate]) -> None:
    world = World()
    before, after = pair
    world.apply(before.resources())
    first = {a: (o.spec, o.stamp) for a, o in world.live().items()}
    world.apply(after.resources())
    world.apply(before.resources())
    again = {a: (o.spec, o.stamp) for a, o in world.live().items()}
    assert again == first

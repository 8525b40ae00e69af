"""Which requests are in the sample: exactly none or all at the ends, the right share between, and nobody chooses."""

from __future__ import annotations

import math
import uuid
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mlops_scoring.collection.sampling import Draw

KEY = bytes(range(32))


@given(st.text(st.characters()), st.binary(max_size=64))
def test_a_lot_is_from_zero_to_below_one_and_always_the_same(identity: str, key: bytes) -> None:
    lot = Draw(key).lot(identity)
    assert 0 <= lot < 1
    assert Draw(key).lot(identity) == lot


def test_the_share_is_that_of_the_rate() -> None:
    random = Random(4)
    draw = Draw(KEY)
    lots = [draw.lot(str(uuid.UUID(int=random.getrandbits(128)))) for _ in range(100_000)]
    for rate in (0.001, 0.01, 0.1, 0.5, 0.9):
        found = sum(lot < rate for lot in lots)
        spread = math.sqrt(len(lots) * rate * (1 - rate))
        assert abs(found - rate * len(lots)) < 5 * spread, (rate, found)


def test_ids_that_only_count_are_drawn_as_evenly() -> None:
    draw = Draw(KEY)
    found = sum(draw.lot(str(number)) < 0.2 for number in range(50_000))
    assert abs(found - 10_000) < 5 * math.sqrt(50_000 * 0.2 * 0.8)


def test_another_key_draws_others() -> None:
    one, other = Draw(KEY), Draw(KEY[::-1])
    same = sum((one.lot(str(number)) < 0.5) == (other.lot(str(number)) < 0.5) for number in range(10_000))
    assert 4_700 < same < 5_300

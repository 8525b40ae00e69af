"""`mlops apply` on real processes, killed at random times; the next one makes good what was left."""

from __future__ import annotations

import os
import signal
import subprocess
from random import Random

import pytest
from tests.e2e.laptop import Laptop

from mlops.resource import Event

ROUNDS = 4
LINES = {"create": 16, "promote": 20, "delete": 8}
"""How many lines an apply says when nobody kills it, roughly."""


def kill_somewhere(laptop: Laptop, random: Random, phase: str) -> None:
    """Begin to apply, and kill the command, or all that it has started, after some lines and a moment."""
    process = laptop.start("apply", "--stage", "dev", "--yes")
    assert process.stderr is not None
    for _ in range(random.randrange(LINES[phase])):
        if not process.stderr.readline():
            break
    try:
        process.wait(random.random() * 0.15)
    except subprocess.TimeoutExpired:
        if random.random() < 0.5:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_an_apply_that_was_killed_is_made_good_by_the_next(laptop: Laptop, seed: int) -> None:
    """First deployment, promotion with a canary under load, deletion: each killed, some twice, then applied again."""
    random = Random(f"{os.environ.get('PYTEST_RANDOM_SEED', '')}{seed}")

    for _ in range(random.randint(1, 2)):
        kill_somewhere(laptop, random, "create")
    laptop.converge()
    laptop.check_single()
    assert laptop.greeting() == "Hello"
    port = laptop.port()

    laptop.serve("2")
    with laptop.load(clients=2) as load:
        for _ in range(random.randint(1, 2)):
            kill_somewhere(laptop, random, "promote")
            assert laptop.greeting() in {"Hello", "Moin"}
        load.wait_for_more(10)
        laptop.converge()
        load.wait_for_more(10)
    assert load.report().reasons == {}
    assert laptop.greeting() == "Moin"
    assert laptop.port() == port
    laptop.check_single()

    laptop.withdraw()
    for _ in range(random.randint(1, 2)):
        kill_somewhere(laptop, random, "delete")
    laptop.converge()
    laptop.check_gone()
    assert laptop.records()[-1].event is Event.FINISHED

"""`mlops apply` on real processes, killed at random times or stopped; the next one makes good what was left."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from random import Random

import pytest
from tests.e2e.laptop import Laptop
from tests.e2e.processes import DEADLINE, Gate

from mlops.errors import Exit
from mlops.resource import Event

ROUNDS = 4
ENDLESS = {"max_error_rate": "100%", "min_requests": 10**9, "deadline": "1h"}
SLOW = {"strategy": "canary", "weights": [50], "checks": ENDLESS}
"""A canary that a run watches until it is stopped, however slow this machine is."""
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

    sockets = laptop.sockets()
    laptop.withdraw()
    for _ in range(random.randint(1, 2)):
        kill_somewhere(laptop, random, "delete")
    laptop.converge()
    laptop.check_gone()
    assert not any(folder.exists() for folder in sockets)
    assert laptop.records()[-1].event is Event.FINISHED


def await_line(process: subprocess.Popen[str], part: str) -> str:
    """Read what a command says until a line holds something; all lines so far."""
    assert process.stderr is not None
    said = ""
    while part not in said:
        line = process.stderr.readline()
        assert line, f"{part!r} was not said:\n{said}"
        said += line
    return said


def press_ctrl_c(process: subprocess.Popen[str]) -> None:
    """SIGINT to every process of the command's group, as a terminal sends it."""
    os.killpg(process.pid, signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_ctrl_c_stops_cleanly_and_the_ledger_is_told(laptop: Laptop, gate: Gate, number: int) -> None:
    """It was waiting for a worker to load its model."""
    laptop.serve("1", environment_variables={"GATE": str(gate.path)})
    process = laptop.start("apply", "--stage", "dev", "--yes")
    with gate.held():
        os.killpg(process.pid, number)
        out, err = process.communicate()
    assert process.returncode == Exit.INTERRUPTED, err
    assert "Stopping: what has begun is finished." in err
    assert "cancelled" in out
    assert laptop.records()[-1].event is Event.INTERRUPTED
    assert laptop.state().run is None
    laptop.converge()
    assert laptop.greeting() == "Hello"
    laptop.check_single()


def test_ctrl_c_in_a_canary_leaves_it_where_it_is_and_the_next_run_goes_on(laptop: Laptop) -> None:
    laptop.converge()
    laptop.declare({"deployments": {"main": {"model": "greeting:2"}}}, rollout=SLOW)
    with laptop.load(clients=2) as load:
        process = laptop.start("apply", "--stage", "dev", "--yes")
        await_line(process, "step: 50 % to the new version")
        load.wait(lambda counted: len(counted.deployments) == 2)
        press_ctrl_c(process)
        process.communicate()
        assert process.returncode == Exit.INTERRUPTED
        assert laptop.records()[-1].event is Event.INTERRUPTED
        laptop.declare({"deployments": {"main": {"model": "greeting:2"}}})
        laptop.converge()
    assert load.report().reasons == {}
    assert laptop.greeting() == "Moin"
    laptop.check_single()


def test_the_second_ctrl_c_ends_at_once(laptop: Laptop) -> None:
    """Somebody else holds the endpoint's folder, so that what has begun cannot be finished."""
    laptop.endpoints.mkdir(parents=True)
    with (laptop.endpoints / ".hello.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = laptop.start("apply", "--stage", "dev", "--yes")
        await_line(process, "endpoint/hello@here create")
        press_ctrl_c(process)
        await_line(process, "Press Ctrl-C again to stop at once")
        assert process.poll() is None
        press_ctrl_c(process)
        assert process.wait(DEADLINE) == Exit.INTERRUPTED
    assert laptop.state().run is not None
    laptop.converge()
    laptop.check_single()

"""Eight clients keep asking while `mlops apply` changes what answers them."""

from __future__ import annotations

from tests.e2e.greetings import GREETINGS, deployment
from tests.e2e.laptop import Laptop

ROLLOUTS = ({"strategy": "canary", "weights": [10, 50]}, {"strategy": "blue_green"}, {"strategy": "all_at_once"})


def test_ten_changes_of_model_lose_no_request(laptop: Laptop) -> None:
    """With canary, blue/green and all at once in turn, and with the number of instances going up and down."""
    laptop.apply()
    port, supervisors = laptop.port(), laptop.supervisors()
    with laptop.load(clients=8) as load:
        for number in range(10):
            version = str((number + 1) % 3 + 1)
            laptop.declare(rollout=ROLLOUTS[number % 3])
            laptop.serve(version, instance_count=1 + number % 2)
            laptop.apply()
            load.wait_for_more(20)
            assert laptop.greeting() == GREETINGS[version]
    assert load.report().reasons == {}
    assert len(load.deployments) == len(GREETINGS)
    assert (laptop.port(), laptop.supervisors()) == (port, supervisors)
    laptop.check_single(workers=2)
    laptop.converge()


def test_changes_of_weights_and_instances_lose_no_request(laptop: Laptop) -> None:
    """Two deployments share the traffic; both keep their processes while weights move."""

    def share(first: int, instances: int = 1) -> None:
        both = {"main": deployment(instance_count=instances), "second": deployment("greeting:2")}
        laptop.declare(deployments=both, traffic={"main": first, "second": 100 - first})
        laptop.apply()

    share(100)
    workers = laptop.workers()
    with laptop.load(clients=8) as load:
        for first in (50, 0, 90, 10, 100):
            share(first)
            load.wait_for_more(20)
        assert laptop.workers() == workers
        for instances in (3, 1, 2):
            share(100, instances)
            load.wait_for_more(20)
    assert load.report().reasons == {}
    assert len(workers) == len(load.deployments) == 2
    laptop.check_single(workers=3)
    laptop.converge()

"""What is read of an endpoint's metrics."""

from __future__ import annotations

from mlops.driver import Collected
from mlops.drivers.local.counting import read_collected

METRICS = """\
# HELP mlops_worker_up Whether it answered this scrape.
# TYPE mlops_worker_up gauge
mlops_worker_up{deployment="blue-1",worker="0"} 1
mlops_worker_up{deployment="blue-1",worker="1"} 1
mlops_worker_up{deployment="blue-1",worker="2"} 0
mlops_worker_up{deployment="green-1",worker="0"} 1
mlops_worker_collected_events_total{designation="inputs",deployment="blue-1",worker="0"} 10
mlops_worker_collected_events_total{designation="outputs",deployment="blue-1",worker="0"} 9
mlops_worker_collected_events_total{designation="inputs",deployment="blue-1",worker="1"} 1
mlops_worker_collected_dropped_total{reason="disk",deployment="blue-1",worker="0"} 2
mlops_worker_collected_dropped_total{reason="disk",deployment="blue-1",worker="1"} 1
mlops_worker_collected_dropped_total{reason="end",deployment="blue-1",worker="0"} 0
mlops_worker_collected_queue_length{deployment="blue-1",worker="0"} 3
mlops_worker_collected_queue_length{deployment="blue-1",worker="1"} 4
mlops_worker_collected_bytes_total{deployment="blue-1",worker="0"} 99999
"""


def test_workers_are_added_up_and_those_that_do_not_answer_are_told() -> None:
    assert read_collected(METRICS) == {"blue-1": Collected(20, {"disk": 3}, 7, silent=1)}


def test_what_a_script_adds_is_no_count() -> None:
    """The first value is the server's own; what is no whole number is none at all."""
    forged = """\
mlops_worker_collected_dropped_total{reason="disk",deployment="blue-1",worker="0"} 700
mlops_worker_collected_dropped_total{reason="end",deployment="blue-1",worker="1"} NaN
mlops_worker_collected_dropped_total{reason="end",deployment="blue-1",worker="1"} +Inf
mlops_worker_collected_dropped_total{reason="a\\"b",deployment="blue-1",worker="1"} 5
mlops_worker_collected_queue_length{deployment="blue-1",worker="0"} 1 1700000000000
mlops_worker_collected_queue_length 5
"""
    assert read_collected(METRICS + forged) == read_collected(METRICS)


def test_nothing_is_made_of_nothing() -> None:
    assert read_collected("") == {}

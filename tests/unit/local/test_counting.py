"""What is read of an endpoint's metrics."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlops.driver import Collected
from mlops.drivers.local import admin
from mlops.drivers.local.counting import read_collected
from mlops.drivers.local.home import Home

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


@contextmanager
def answering(folder: Path, answer: bytes) -> Iterator[Home]:
    """A supervisor that says one thing and closes."""
    home = Home(folder, "digits", 8600, folder / "a.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.admin))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield home
        thread.join()


@pytest.mark.parametrize(
    ("answer", "metrics"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na\n", {"digits": "a\n"}),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na\n", {}),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}", {}),
        (b"", {}),
    ],
)
def test_an_answer_that_is_cut_off_has_no_figures(
    short_folder: Path, answer: bytes, metrics: Mapping[str, str]
) -> None:
    """Half of the workers would look like all of them."""
    with answering(short_folder, answer) as home:
        assert admin.metrics([home]) == metrics


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="mc-") as folder:
        yield Path(folder)

"""Ports on loopback."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.scoring.rig import free_port

from mlops.drivers.local.driver import LocalDriver
from mlops.drivers.local.folders import Folders
from mlops.drivers.local.home import make_home
from mlops.drivers.local.ports import choose_port, is_free, listeners, parse_ports, port_is_taken
from mlops.errors import TargetError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(("text", "ports"), [("8600-8699", range(8600, 8700)), ("8600", range(8600, 8601))])
def test_ranges(text: str, ports: range) -> None:
    assert parse_ports(text) == ports


@pytest.mark.parametrize("text", ["", "-", "0-10", "9-8", "1-65536", "a-b", "8600-", "-8600", "1 - 2", "\u0661-\u0662"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"[Pp]ort"):
        parse_ports(text)
    with pytest.raises(ValidationError):
        LocalDriver.Spec.model_validate({"ports": text})


def test_options_take_a_range_and_nothing_else() -> None:
    assert LocalDriver.Spec.model_validate({}).model_dump() == {"ports": "8600-8699"}
    with pytest.raises(ValidationError):
        LocalDriver.Spec.model_validate({"host": "0.0.0.0"})  # noqa: S104 - must be refused


def test_a_port_that_somebody_has_is_passed_over(tmp_path: Path, taken: int) -> None:
    assert not is_free(taken)
    with pytest.raises(TargetError, match="No port is free"):
        choose_port(Folders(tmp_path, "here"), range(taken, taken + 1))


def test_each_endpoint_of_the_clone_gets_a_port_of_its_own(tmp_path: Path, taken: int) -> None:
    """Also while nobody listens, and across computes."""
    ports = range(taken, taken + 40)
    homes = [make_home(Folders(tmp_path, compute), name, ports) for compute in ("one", "two") for name in ("a", "b")]
    assert len({home.port for home in homes}) == 4
    assert taken not in {home.port for home in homes}
    assert make_home(Folders(tmp_path, "two"), "b", ports) == homes[3]


def test_a_stranger_is_named(tmp_path: Path, taken: int) -> None:
    assert any(f"(pid {os.getpid()})" in owner for owner in listeners(taken))
    assert f"(pid {os.getpid()})" in port_is_taken(taken, tmp_path).diagnostics[0].detail

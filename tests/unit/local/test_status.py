"""The health of an endpoint from that of its deployments."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.drivers.local.home import Home
from mlops.drivers.local.status import to_observed, to_silent, worst
from mlops.resource import JSON, Health, HealthState, Traffic

HOME = Home(Path("/nowhere"), "digits", 8600, Path("/nowhere/admin.sock"))


def said(**states: str) -> dict[str, JSON]:
    return {
        name: {
            "state": state,
            "reason": "worker 1: init() failed:\n no such file",
            "ready": 1,
            "wanted": 2,
            "requests": 10,
            "errors": 3,
            "log_tail": ["one", "two"],
        }
        for name, state in states.items()
    }


@pytest.mark.parametrize("state", HealthState)
def test_the_worst_deployment_decides(state: HealthState) -> None:
    observed = to_observed(HOME, "here", {"deployments": said(blue="Healthy", green=state.value)})
    assert observed.health.state is state
    assert (observed.health.ready, observed.health.wanted) == (2, 4)


def test_a_bad_one_is_named_with_one_line_and_its_log() -> None:
    health = to_observed(HOME, "here", {"deployments": said(blue="Healthy", green="Failed")}).health
    assert health.reason == "green: worker 1: init() failed: no such file"
    assert health.log == ("one", "two")


def test_good_ones_need_no_reason() -> None:
    health = to_observed(HOME, "here", {"deployments": said(blue="Healthy")}).health
    assert (health.reason, health.log) == ("", ())


def test_a_state_of_a_newer_server_is_not_taken_for_good() -> None:
    assert to_observed(HOME, "here", {"deployments": said(blue="Dreaming")}).health.state is HealthState.UNHEALTHY


def test_requests_and_errors_are_given_per_live_deployment() -> None:
    observed = to_observed(HOME, "here", {"deployments": said(blue="Healthy", green="Failed")})
    assert observed.traffic == {"blue": Traffic(10, 3), "green": Traffic(10, 3)}


def test_each_deployment_has_a_health_of_its_own() -> None:
    observed = to_observed(HOME, "here", {"deployments": said(blue="Healthy", green="Failed")})
    assert observed.health_of(["blue"]).state is HealthState.HEALTHY
    assert observed.health_of(["green", "blue"]).state is HealthState.FAILED
    assert observed.health_of(["unknown"]) == observed.health_of([]) == observed.health


@pytest.mark.parametrize(("answer", "settling"), [({"settled": False}, True), ({"settled": True}, False), ({}, False)])
def test_what_is_on_its_way_is_told(answer: dict[str, JSON], settling: bool) -> None:  # noqa: FBT001
    assert to_observed(HOME, "here", answer).settling is settling


def test_silence_is_unhealthy() -> None:
    observed = to_silent(HOME, "here", {})
    assert observed.health.state is HealthState.UNHEALTHY
    assert observed.stamp is None


def test_nothing_to_serve_is_healthy() -> None:
    assert worst([]) == Health()


def test_outputs_lead_to_the_endpoint() -> None:
    assert to_observed(HOME, "here", {}).outputs == {
        "scoring_uri": "http://127.0.0.1:8600/score",
        "swagger_uri": "http://127.0.0.1:8600/swagger.json",
        "port": "8600",
    }

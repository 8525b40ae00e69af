"""The sample request, scored on a new version before it gets traffic, and compared with what Git expects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.engine.world import (
    FRAUD,
    V1,
    V2,
    V3,
    World,
    deployment,
    endpoint,
    fraud,
    outcomes,
    versions,
)

from mlops.apply.checks import close
from mlops.driver import Answer
from mlops.errors import Diagnostic, TargetError
from mlops.resource import JSON, Checks, Resource, Rollout

ALL = (V1, V2, V3)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One endpoint that serves version 1."""
    made = World(samples=tmp_path)
    made.apply([*ALL, fraud("1")])
    made.progress.clear()
    return made


BODY = b'{"data": [1, 2]}'


def with_sample(world: World, version: str, expected: JSON, **sample: JSON) -> Resource:
    assert world.blobs is not None
    (world.blobs.folder / "body").write_bytes(BODY)
    request: dict[str, JSON] = {"request": "body", "expected": expected, **sample}
    resource = fraud(version)
    return replace(resource, spec={**resource.spec, "sample_request": request})


def test_a_version_that_answers_as_expected_is_taken(world: World) -> None:
    asked: list[bytes] = []

    def answer(deployment: Mapping[str, object], body: bytes) -> Answer:
        asked.append(body)
        assert deployment["model"] == {"name": "fraud", "version": "2"}
        return Answer(200, {}, b'{"score": 0.5000000001}')

    world.west.scorer = answer
    assert outcomes(world.apply([*ALL, with_sample(world, "2", {"score": 0.5})])) == {str(FRAUD): "done"}
    assert asked == [BODY, BODY]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            Answer(200, {}, b'{"score": 0.6}'),
            'answered the sample request with {"score": 0.6}; expected {"score": 0.5}',
        ),
        (Answer(500, {}, b"Traceback"), "got status 500 from blue-"),
        (Answer(200, {}, b"<html>"), "to the sample request is not JSON: <html>"),
    ],
)
def test_a_version_that_answers_otherwise_gets_no_traffic(world: World, answer: Answer, reason: str) -> None:
    world.west.scorer = lambda _deployment, _body: answer
    served = 0

    def look(verb: str, _address: object) -> None:
        nonlocal served
        if verb == "put":
            served = max(served, versions(world.west.objects[FRAUD].spec).get("2", 0))

    world.west.after = look
    result = world.apply([*ALL, with_sample(world, "2", {"score": 0.5})]).results[FRAUD]
    assert result.outcome == "returned"
    assert reason in result.reason
    assert served == 0


def test_a_version_that_does_not_answer_is_bad(world: World) -> None:
    def refuse(_deployment: Mapping[str, object], _body: bytes) -> Answer:
        raise TargetError(Diagnostic("Nothing answered", "connection refused"))

    world.west.scorer = refuse
    result = world.apply([*ALL, with_sample(world, "2", {"score": 0.5})]).results[FRAUD]
    assert result.outcome == "returned"
    assert "got no answer from blue-" in result.reason


def test_the_sample_is_not_scored_where_that_is_switched_off(world: World) -> None:
    world.west.scorer = lambda _deployment, _body: Answer(500, {}, b"")
    resource = with_sample(world, "2", {"score": 0.5})
    off = replace(resource, rollout=Rollout(checks=Checks(sample_request=False)))
    assert outcomes(world.apply([*ALL, off])) == {str(FRAUD): "done"}


def test_a_sample_without_an_expected_answer_has_to_be_answered_well(world: World) -> None:
    resource = with_sample(world, "2", None)
    sample = resource.spec["sample_request"]
    assert isinstance(sample, Mapping)
    bare = {k: v for k, v in sample.items() if k != "expected"}
    world.west.scorer = lambda _deployment, _body: Answer(200, {}, b"anything")
    bare_resource = replace(resource, spec={**resource.spec, "sample_request": bare})
    assert outcomes(world.apply([*ALL, bare_resource])) == {str(FRAUD): "done"}


def test_a_sample_for_one_deployment_is_not_sent_to_the_others(world: World) -> None:
    world.west.scorer = lambda deployment, _body: Answer(200, {}, b"1" if deployment["deployment"] == "blue" else b"2")
    resource = endpoint(
        "pair",
        {"blue": deployment("fraud:1"), "green": deployment("fraud:2")},
        traffic={"blue": 50, "green": 50},
        fields={"sample_request": {"request": "body", "expected": 1, "deployment": "blue"}},
    )
    with_sample(world, "1", 1)
    assert outcomes(world.apply([*ALL, fraud("1"), resource])) == {str(resource.address): "done"}


def test_an_edited_expectation_is_held_against_what_serves(world: World) -> None:
    """The endpoint is as it was; what Git says of its answers is not true."""
    world.west.scorer = lambda _deployment, _body: Answer(200, {}, b"1")
    world.apply([*ALL, with_sample(world, "1", 1)])
    execution = world.apply([*ALL, with_sample(world, "1", 2)])
    assert outcomes(execution) == {str(FRAUD): "returned"}


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        (1.0, 1.0000001, True),
        (1.0, 1.1, False),
        (1000000.0, 1000000.5, True),
        (0.0, 1e-7, True),
        (True, 1, False),
        ("a", "a", True),
        ("1", 1, False),
        (None, None, True),
        (None, 0, False),
        ([1, 2], [1, 2.0], True),
        ([1, 2], [1], False),
        ({"a": [0.1]}, {"a": [0.1 + 1e-9]}, True),
        ({"a": 1}, {"b": 1}, False),
        ([], {}, False),
    ],
)
def test_answers_are_close_within_the_tolerance(left: JSON, right: JSON, *, equal: bool) -> None:
    assert close(left, right, 1e-6) is equal
    assert close(right, left, 1e-6) is equal

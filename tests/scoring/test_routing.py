"""Weights as a cycle, and the configuration as values."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_scoring.configuration import parse_configuration
from mlops_scoring.documents import InvalidDocument, parse_json
from mlops_scoring.gateway.routing import schedule


def test_shares_are_spread_evenly() -> None:
    assert schedule({"a": 50, "b": 50}) == ("a", "b")
    assert schedule({"a": 75, "b": 25}) == ("a", "a", "b", "a")
    assert schedule({"a": 100, "b": 0}) == ("a",)
    assert schedule({"a": 0}) == schedule({}) == ()


@given(st.lists(st.integers(0, 100), min_size=1, max_size=6))
def test_any_weights_are_exact_over_a_hundred_requests_and_never_far_off_in_between(cuts: list[int]) -> None:
    marks = [0, *sorted(cuts), 100]
    weights = {f"d{place}": high - low for place, (low, high) in enumerate(pairwise(marks))}
    turns = schedule(weights)
    assert 100 % len(turns) == 0
    hundred = turns * (100 // len(turns))
    assert Counter(hundred) == Counter({name: weight for name, weight in weights.items() if weight})
    seen: Counter[str] = Counter()
    for number, name in enumerate(hundred, 1):
        seen[name] += 1
        for other, weight in weights.items():
            assert abs(seen[other] - number * weight / 100) < len(weights)


def test_all_problems_of_a_configuration_are_told_at_once() -> None:
    document = {
        "format": 1,
        "endpoint": "",
        "host": "example",
        "port": "80",
        "traffic": {"a": -1, "b": 2.5},
        "aliases": {"x": 1},
        "deployments": {
            "a": {
                "python": "/p",
                "instance_count": True,
                "runtime": "script",
                "model_files": {"../x": "00"},
                "request_settings": {"request_timeout_ms": 0, "more": 1},
                "pickle_policy": {"formats": ["dill"]},
                "environment_variables": {"A=B": "x", "C": 1},
                "liveness_probe": {"period": "often"},
            },
            ".b": {},
        },
        "what": None,
    }
    with pytest.raises(InvalidDocument) as refused:
        parse_configuration(json.dumps(document))
    expected = [
        "endpoint: must be a string that is not empty",
        "host: must be an IP address; it is 'example'",
        "port: must be a whole number",
        "traffic.a: must be from 0 to 100; it is -1",
        "traffic.b: must be a whole number",
        "traffic.b: is not the live name of a deployment",
        "aliases.x: must be a string",
        "deployments.a.instance_count: must be a whole number",
        "deployments.a.model_files.../x: must be a path below model_directory",
        "deployments.a.model_files.../x: must be a sha256 in 64 small hexadecimal digits",
        "deployments.a.model_files: there are files but no model_directory",
        "deployments.a.request_settings.request_timeout_ms: must be from 1 to 2147483648; it is 0",
        "deployments.a.request_settings.more: is not a field here; a newer version may know it",
        "deployments.a.pickle_policy.formats: 'dill' is not one of joblib, pickle, skops",
        "deployments.a.environment_variables.C: must be a string",
        "deployments.a.environment_variables: 'A=B' is not the name of an environment variable",
        "deployments.a.liveness_probe.period: must be a number",
        "deployments.a.scoring_script: the runtime 'script' needs code_directory and scoring_script",
        "deployments..b: a live name has letters, digits, '.', '_' and '-', and begins with a letter or digit",
        "deployments..b.python: is missing",
        "deployments..b.instance_count: is missing",
        "deployments..b.runtime: is missing",
        "deployments..b.scoring_script: the runtime 'script' needs code_directory and scoring_script",
        "what: is not a field here; a newer version may know it",
    ]
    assert sorted(refused.value.problems) == sorted(expected)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": NaN}', "[" * 100_000, b"\xff", "", "{}{}"])
def test_json_that_two_readers_could_read_differently_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidDocument, match="not valid JSON"):
        parse_json(text, "it")


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner))
)
def test_no_document_makes_the_reader_fail_otherwise_than_by_saying_so(document: object) -> None:
    for candidate in (
        document,
        {"format": 1, "deployments": {"a": document}, "traffic": document, "aliases": document},
    ):
        with pytest.raises(InvalidDocument):
            parse_configuration(json.dumps(candidate))

"""JSON Merge Patch: the test cases of RFC 7396, appendix A, and what it removes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.resolve.merge import merge_patch, removals_of_nothing
from mlops.resource import JSON
from mlops.schemas.problems import DocumentPath

APPENDIX_A: list[tuple[JSON, JSON, JSON]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

VALUES = st.recursive(
    st.integers() | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
PATCHES = st.recursive(
    st.none() | st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=6
)


@pytest.mark.parametrize(("target", "patch", "result"), APPENDIX_A)
def test_the_cases_of_the_rfc(target: JSON, patch: JSON, result: JSON) -> None:
    assert merge_patch(target, patch) == result


@given(VALUES, PATCHES)
def test_a_patch_twice_is_a_patch_once(target: JSON, patch: JSON) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(VALUES, PATCHES)
def test_the_target_is_left_alone(target: JSON, patch: JSON) -> None:
    before = repr(target)
    merge_patch(target, patch)
    assert repr(target) == before


@pytest.mark.parametrize(
    ("target", "patch", "paths"),
    [
        ({"a": 1}, {"a": None}, []),
        ({"a": 1}, {"b": None}, [("b",)]),
        ({"a": {"b": 1}}, {"a": {"b": None, "c": None}}, [("a", "c")]),
        ({}, {"a": {"b": None}}, [("a", "b")]),
        ({"a": 3}, {"a": {"b": None}}, [("a", "b")]),
        ({"a": 1}, [None], []),
    ],
)
def test_removals_of_what_is_not_there(target: JSON, patch: JSON, paths: list[DocumentPath]) -> None:
    assert list(removals_of_nothing(target, patch)) == paths

"""YAML 1.2 as plain data: what is read, what is refused, and where everything is."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.loader.compose import DEPTH_LIMIT, EXPANSION_LIMIT
from mlops.loader.yaml import parse
from mlops.resource import JSON

CORE_SCHEMA: dict[str, JSON] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None, "nULL": "nULL",
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "yes": "yes", "no": "no", "on": "on", "off": "off", "Yes": "Yes", "NO": "NO", "y": "y", "n": "n",
    "0": 0, "3": 3, "-3": -3, "+3": 3, "010": 10, "0o10": 8, "0x1F": 31, "1_000": "1_000", "0b11": "0b11", "0o8": "0o8",
    "1:30": "1:30", "190:20:30": "190:20:30", "1.5": 1.5, "1.": 1.0, ".5": 0.5, "-.5": -0.5, "1e3": 1000.0,
    "1.5E-2": 0.015, "1e": "1e", ".": ".", "+": "+", "1.2.3": "1.2.3", "0x": "0x", "2026-01-31": "2026-01-31",
    "2026-01-31T10:00:00Z": "2026-01-31T10:00:00Z", "=": "=", "<<": "<<", "v1": "v1", "fraud:4": "fraud:4", "٣": "٣",
    "9223372036854775807": 9223372036854775807,
}  # fmt: skip


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("text", list(CORE_SCHEMA))
def test_plain_scalars_follow_the_core_schema(text: str, *, pure: bool) -> None:
    parsed = parse(f"a: {text}\n", pure=pure)
    assert parsed.problems == ()
    assert parsed.data == {"a": CORE_SCHEMA[text]}
    assert isinstance(parsed.data, dict)
    assert type(parsed.data["a"]) is type(CORE_SCHEMA[text])


@pytest.mark.parametrize("text", ["yes", "010", "1:30", "null", "~", "1e3", "true", ".inf", ""])
def test_quoted_scalars_are_text(text: str) -> None:
    assert parse(f"a: '{text}'\nb: \"{text}\"\n").data == {"a": text, "b": text}


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: {model: fraud:4, n: 1}", {"a": {"model": "fraud:4", "n": 1}}),
        ("[a:b, c::d, http://x.y/z?q=1#f]", ["a:b", "c::d", "http://x.y/z?q=1#f"]),
        ("{?x: 1, b: what?, c?d: e}", {"?x": 1, "b": "what?", "c?d": "e"}),
        ('{"a":1,"b":[2]}', {"a": 1, "b": [2]}),
        ('a: "x\\/y"', {"a": "x/y"}),
        ("%YAML 1.2\n---\na: 1\n", {"a": 1}),
        ("a: {url: 'http://x'}  # no: comment\nb: it's?\n", {"a": {"url": "http://x"}, "b": "it's?"}),
        ("a: |\n  {x:y?}\n  z\nb: [c:d]\n", {"a": "{x:y?}\nz\n", "b": ["c:d"]}),
        ("a: >-\n  folded\n  text\n", {"a": "folded text"}),
        ("a: [1,\n\t2]\n", {"a": [1, 2]}),
        ("\ufffd: é\n", {"\ufffd": "é"}),
        ("a: x\r\nb: y\r\n", {"a": "x", "b": "y"}),
    ],
)
def test_what_only_yaml_1_2_reads(text: str, data: JSON) -> None:
    for pure in (False, True):
        parsed = parse(text, pure=pure)
        assert (parsed.data, parsed.problems) == (data, ())


@pytest.mark.parametrize(
    ("text", "line", "column", "summary"),
    [
        ("", 1, 1, "Empty file"),
        ("# only a comment\n", 2, 1, "Empty file"),
        ("a: 1\n---\nb: 2\n", 2, 1, "Several documents in one file"),
        ("a: 1\n...\n---\nb: 2\n", 3, 1, "Several documents in one file"),
        ("a:\n\tb: 1\n", 2, 1, "Tab"),
        ("\ta: 1\n", 1, 1, "Tab"),
        ("a: 1\nb: 2\na: 3\n", 3, 1, "Duplicate key"),
        ("a:\n  b: 1\n  'b': 2\n", 3, 3, "Duplicate key"),
        ("a: !!str 1\n", 1, 4, "YAML tag"),
        ("a: !!python/object/apply:os.system [x]\n", 1, 4, "YAML tag"),
        ("a: !include x.yaml\n", 1, 4, "YAML tag"),
        ("!foo a: 1\n", 1, 1, "YAML tag"),
        ("a: ! 1\n", 1, 4, "YAML tag"),
        ("a: &x [*x]\n", 1, 8, "Alias without a meaning"),
        ("a: *x\n", 1, 4, "Alias without a meaning"),
        ("b: {<<: {a: 1}}\n", 1, 5, "Merge key"),
        ("1: a\n", 1, 1, "Key is not text"),
        ("null: a\n", 1, 1, "Key is not text"),
        ("? [a]\n: b\n", 1, 3, "Key is not text"),
        ("a: .nan\n", 1, 4, "Not a number that JSON has"),
        ("a: -.inf\n", 1, 4, "Not a number that JSON has"),
        ("a: 1e999\n", 1, 4, "Not a number that JSON has"),
        ("a: 18446744073709551616\n", 1, 4, "Not a number that JSON has"),
        ("a: " + "9" * 10_000 + "\n", 1, 4, "Not a number that JSON has"),
        ('a: "\\u0007"\n', 1, 4, "Control character"),
        ('a: "\\ud800"\n', 1, 4, "Control character"),
        ("a: \x07\n", 1, 4, "Control character"),
        ("a: b\x00\n", 1, 5, "Control character"),
        ("ab\ncd\u202e: 1\n", 2, 3, "Control character"),
        ("a: \ufeff1\n", 1, 4, "Control character"),
        ("a: x\u2028b: y\n", 1, 5, "Control character"),
        ("%YAML 1.1\n---\na: 1\n", 2, 1, "YAML directive"),
        ("%TAG ! tag:x,2000:\n---\na: 1\n", 2, 1, "YAML directive"),
        ("a: b: c\n", 1, 5, "Not YAML"),
        ("a: 'x\n", 2, 1, "Not YAML"),
        ("a: @x\n", 1, 4, "Not YAML"),
        ("a: [b\n", 2, 1, "Not YAML"),
        ("a: x\n b: y\n", 2, 3, "Not YAML"),
        ("a: {{ PLACEHOLDER }}\n", 1, 5, "Key is not text"),
    ],
)
def test_what_is_refused_and_where(text: str, line: int, column: int, summary: str) -> None:
    problem = parse(text).problems[0]
    assert (problem.line, problem.column, problem.summary) == (line, column, summary)
    assert problem.todo


def test_a_tag_makes_no_object(tmp_path: object) -> None:
    """The tags by which other loaders run code give a problem and plain data."""
    for tag in ("!!python/object/new:os.system", "!!python/name:os.system", "!!binary", "!!set", "!!timestamp"):
        parsed = parse(f"a: {tag} 'touch {tmp_path}/x'\n")
        assert [problem.summary for problem in parsed.problems] == ["YAML tag"]


def test_all_problems_of_a_file_are_found() -> None:
    text = "a: 1\na: 2\n1: x\nb: !foo y\nc: .nan\n"
    assert [problem.line for problem in parse(text).problems] == [2, 3, 4, 5]


def test_aliases_stand_for_what_is_anchored() -> None:
    parsed = parse("base: &b {x: [1, 2]}\none: *b\ntwo: [*b, *b]\n")
    same = {"x": [1, 2]}
    assert parsed.data == {"base": same, "one": same, "two": [same, same]}


def bomb(width: int, depth: int) -> str:
    lines = [f"k0: &k0 [{', '.join(['lol'] * width)}]"]
    lines += [f"k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * width)}]" for i in range(1, depth)]
    return "\n".join(lines)


def test_an_alias_bomb_stops_at_the_limit() -> None:
    assert [problem.summary for problem in parse(bomb(10, 12)).problems] == ["Aliases expand too far"]
    assert parse(bomb(10, 4)).problems == ()


def test_aliases_of_one_long_text_are_counted_by_its_length() -> None:
    text = f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * (EXPANSION_LIMIT // 100_000 + 1))}]\n"
    assert [problem.summary for problem in parse(text).problems] == ["Aliases expand too far"]


@pytest.mark.parametrize(
    "text",
    ["[" * 1_000_000, "- " * 500_000, "{a: " * 200_000, "a:\n" + "".join(" " * i + "a:\n" for i in range(1, 900))],
)
def test_deep_nesting_stops_at_the_limit(text: str) -> None:
    assert [problem.summary for problem in parse(text).problems] == ["Nested too deeply"]


def test_nesting_up_to_the_limit_is_read() -> None:
    assert parse("[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT).problems == ()
    assert parse("[" * (DEPTH_LIMIT + 1) + "]" * (DEPTH_LIMIT + 1)).problems


def test_marks_say_where_keys_and_values_are() -> None:
    marks = parse("a: 1\nb:\n  - x\n  - {c: fraud:4}\n", marks=True).marks
    assert marks["a",] == (1, 1, 1, 4)
    assert marks["b", 0] == (3, 5, 3, 5)
    assert marks["b", 1, "c"] == (4, 6, 4, 9)
    assert marks[()] == (1, 1, 1, 1)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
    | st.sampled_from(["fraud:4", "a?b", "http://x/?y", "no", "1:30"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(string.ascii_letters + ":?-._ ", min_size=1, max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(PLAIN)
def test_json_is_read_as_json(value: JSON) -> None:
    """JSON is YAML: whatever a JSON writer makes, both parsers read back, value for value."""
    text = json.dumps(value)
    for pure in (False, True):
        parsed = parse(text, pure=pure)
        assert (parsed.data, parsed.problems) == (value, ())


TOKENS = [
    "{", "}", "[", "]", ":", ": ", ",", ", ", "?", "? ", "-", "- ", '"', "'", "a", "b1", "1", "\n", "\n  ", "\n- ",
    "a: ", "b: ", " ", "&x ", "*x", "!", "|\n  ", "%", "@", "`", "\\", "~", "null", "x:y", "x?y", '"k":', " #",
]  # fmt: skip


@given(st.lists(st.sampled_from(TOKENS), max_size=14).map("".join))
def test_the_c_parser_never_reads_something_else(text: str) -> None:
    """Where both parsers accept a text, they read the same; the slower one is the judge."""
    fast, slow = parse(text), parse(text, pure=True)
    if not fast.problems and not slow.problems:
        assert json.dumps(fast.data) == json.dumps(slow.data)


@given(st.text(max_size=200))
def test_any_text_gives_data_or_problems(text: str) -> None:
    parsed = parse(text)
    for problem in parsed.problems:
        assert 0 <= problem.line <= text.count("\n") + text.count("\r") + 2
        assert problem.summary

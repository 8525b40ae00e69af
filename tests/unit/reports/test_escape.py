"""Nothing that comes from a file or a target takes effect where it is shown: checked with a real Markdown parser."""

from __future__ import annotations

from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mlops.reports.escape import code, cut, html, lines, markdown, plain

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
ANY = st.text(max_size=40)
NASTY = st.text(alphabet=st.sampled_from(list("\\`*_{}[]()#+-.!|<>~$@&:/= \n\r\tab1w")), max_size=24)


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    for token in PARSER.parse(text):
        found.append(token)
        found.extend(token.children or ())
    return found


def _shown(text: str) -> str:
    return "".join(t.content for t in _tokens(text) if t.type in ("text", "code_inline", "text_special"))


@given(ANY)
def test_plain_prints_on_one_line(text: str) -> None:
    assert plain(text).isprintable()


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S")), max_size=20))
def test_plain_leaves_what_prints_alone(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202eevil", "\\u202eevil"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\ud800", "\\ud800"),
        ("größer → 日本", "größer → 日本"),
    ],
)
def test_what_does_not_print_is_written_as_python_does(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(ANY | NASTY)
@example("\\|")
@example("@octocat closes #1")
@example("1. first")
@example("- item")
@example("&lt;b&gt;")
def test_markdown_prose_stays_one_paragraph_of_text(text: str) -> None:
    tokens = _tokens(markdown(text))
    allowed = {"paragraph_open", "paragraph_close", "inline", "text", "text_special"}
    assert {token.type for token in tokens} <= allowed
    assert "".join(_shown(markdown(text)).split()).replace("\u200b", "") == "".join(plain(text).split())


@given(ANY | NASTY)
def test_markdown_mentions_nobody_and_links_nothing(text: str) -> None:
    shown = _shown(markdown(text))
    for before, after in pairwise(shown):
        assert not (before in "@#" and after.isalnum())
    assert "://" not in shown


@given(st.lists(ANY | NASTY, min_size=1, max_size=3), st.booleans())
def test_a_cell_stays_a_cell(texts: list[str], prose: bool) -> None:  # noqa: FBT001 - Hypothesis draws it
    write = markdown if prose else code
    row = " | ".join(write(text) for text in texts)
    heading = " | ".join("h" for _ in texts)
    rule = "|".join("---" for _ in texts)
    types = [token.type for token in _tokens(f"| {heading} |\n|{rule}|\n| {row} |\n")]
    assert types.count("td_open") == len(texts)
    assert types.count("tr_open") == 2
    assert not {"link_open", "image", "em_open", "strong_open", "s_open"} & set(types)


@given((ANY | NASTY).filter(lambda text: bool(text.strip()) and text == text.strip()))
def test_a_code_span_shows_exactly_the_text(text: str) -> None:
    assert _shown(code(text)) == plain(text)


class _Elements(HTMLParser):
    """Collects start tags and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(ANY | NASTY)
def test_html_is_one_element_with_the_text(text: str) -> None:
    parser = _Elements()
    parser.feed(html(text))
    parser.close()
    assert parser.tags == ["code"]
    assert parser.text == plain(text)


def test_lines_are_harmless_each() -> None:
    assert lines("one\n\ttwo\x07\n") == ["one", "    two\\x07"]


def test_cut_says_that_it_cut() -> None:
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"

"""YAML 1.2 text as plain data: the C parser where it can, ruamel's own, which is slower, where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops.loader.characters import FORBIDDEN, mask, named
from mlops.loader.compose import Composer, Event, Mark, Parsed, Stop, YamlProblem
from mlops.resource import JSON
from mlops.schemas.problems import DocumentPath

__all__ = ["Mark", "Parsed", "YamlProblem", "parse"]

_PURE_LIMIT = 64 << 10
"""Largest text for which the slower parser gets the last word; characters."""


def parse(text: str, *, marks: bool = False, pure: bool = False) -> Parsed:
    """Read a text of one document.

    Args:
        text: The text, of at most a size that the caller has bounded.
        marks: Whether to note where every value is.
        pure: Do without the C parser.

    Returns:
        The data and everything that is wrong with it.
    """
    found = FORBIDDEN.search(text)
    if found:
        line, column = _line_of(text, found.start())
        problem = YamlProblem(line, column, "Control character", f"The file holds {named(found[0])}.", "Remove it.")
        return Parsed(None, (problem,), {})
    masked = mask(text)
    if pure:
        return _compose(masked, _pure_events(masked), marks=marks)
    parsed = _compose(masked, _c_events(masked), marks=marks)
    if parsed.problems and len(text) <= _PURE_LIMIT:
        return _compose(text, _pure_events(text), marks=marks)  # the C parser does not know all of YAML 1.2
    return parsed


def _compose(text: str, events: Iterator[Event], *, marks: bool) -> Parsed:
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - 100 ms that a warm cache does not need

    notes: dict[DocumentPath, Mark] | None = {} if marks else None
    composer = Composer(events.__next__, notes)
    data: JSON = None
    try:
        next(events)
        data = composer.document()
    except Stop:
        pass
    except YAMLError as error:
        composer.problems.append(_syntax_problem(text, error))
    return Parsed(data, tuple(composer.problems), notes or {})


def _c_events(text: str) -> Iterator[Event]:
    try:
        from _ruamel_yaml import CParser  # type: ignore[import-not-found]  # noqa: PLC0415 - as above
    except ImportError:  # there is no compiled parser for other Pythons than CPython
        yield from _pure_events(text)
        return
    parser = CParser(text)
    while parser.check_event():
        yield parser.get_event()


def _pure_events(text: str) -> Iterator[Event]:
    from ruamel.yaml import YAML  # noqa: PLC0415 - as above

    yield from YAML(typ="safe", pure=True).parse(text)


def _syntax_problem(text: str, error: Any) -> YamlProblem:  # noqa: ANN401 - ruamel has no types
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error)
    context = getattr(error, "context", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    lines = text.splitlines()
    shown = lines[line - 1] if 0 < line <= len(lines) else ""
    indentation = shown[: len(shown) - len(shown.lstrip())]
    if "\t" in indentation or shown[column - 1 : column] == "\t":
        column = shown.index("\t") + 1
        return YamlProblem(line, column, "Tab", "YAML is indented with spaces only.", "Replace the tab by spaces.")
    detail = f"{problem[:1].upper()}{problem[1:]}{f', {context}' if context else ''}."
    todo = "Put the text in quotes." if shown.strip().count(": ") > 1 or "mapping values" in problem else ""
    return YamlProblem(line, column, "Not YAML", detail, todo or "Mend the syntax at this place.")


def _line_of(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1

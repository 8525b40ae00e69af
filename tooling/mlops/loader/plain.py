"""One document as plain data, unchecked: for what shows a file as it was written."""

from __future__ import annotations

from pathlib import Path

from mlops.errors import Diagnostic, Location
from mlops.loader.text import TextProblem, decode, read_bounded
from mlops.loader.yaml import parse
from mlops.resource import JSON


def read_plain(root: Path, file: str) -> JSON | Diagnostic:
    """A document's data, or the first reason why there is none.

    Args:
        root: The repository's root.
        file: The document, relative to it.
    """
    outcome = read_bounded(root / file)
    text = outcome if isinstance(outcome, TextProblem) else decode(outcome[0])
    if isinstance(text, TextProblem):
        where = Location(file, text.line, text.column)
        return Diagnostic(text.summary, text.detail, where, text.todo, text.command)
    parsed = parse(text)
    for problem in parsed.problems:
        return Diagnostic(problem.summary, problem.detail, Location(file, problem.line, problem.column), problem.todo)
    return parsed.data

"""Errors and warnings as a person, or a program, meets them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from mlops.errors import Diagnostic, Exit
from mlops.reports.escape import lines, plain
from mlops.reports.palette import PLAIN, Palette, Tone
from mlops.reports.values import plural

_TONES = {"error": Tone.DANGER, "warning": Tone.CHANGE}


def _one(problem: Diagnostic, level: str, palette: Palette) -> Iterable[str]:
    yield f"{palette.paint(_TONES.get(level), f'{level}:')} {palette.paint(Tone.STRONG, plain(problem.summary))}"
    if problem.where is not None:
        yield f"  {palette.paint(Tone.NOTE, '-->')} {plain(str(problem.where))}"
    for paragraph in (problem.detail, problem.todo):
        if paragraph:
            yield from (f"  {line}".rstrip() for line in lines(paragraph))
    if problem.command:
        yield from (f"      {line}" for line in lines(problem.command))


def render_diagnostics(problems: Sequence[Diagnostic], *, level: str = "error", palette: Palette = PLAIN) -> str:
    """Every problem: constant summary, place, what is wrong, what to do, a command to copy.

    Args:
        problems: In the order in which they are shown.
        level: "error" or "warning".
        palette: Colours.
    """
    blocks = ["\n".join(_one(problem, level, palette)) for problem in problems]
    if len(blocks) > 1:
        blocks.append(f"{plural(len(blocks), level)} in all.")
    return "\n\n".join(blocks) + "\n"


def render_diagnostics_json(problems: Sequence[Diagnostic], *, level: str = "error", code: Exit | None = None) -> str:
    """One JSON object a line, one line a problem.

    Args:
        problems: In the order in which they are shown.
        level: "error" or "warning".
        code: The exit code that they lead to, where it is known.
    """
    written = []
    for problem in problems:
        where = problem.where
        value = {
            "level": level,
            "summary": problem.summary,
            "detail": problem.detail,
            "file": where.file if where else None,
            "line": (where.line or None) if where else None,
            "column": (where.column or None) if where else None,
            "todo": problem.todo,
            "command": problem.command,
            "exit_code": int(code) if code is not None else None,
        }
        written.append(json.dumps(value, ensure_ascii=True))
    return "\n".join(written) + "\n"

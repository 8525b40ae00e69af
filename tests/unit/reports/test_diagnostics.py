"""Errors as a person and as a program meet them."""

from __future__ import annotations

import json

from mlops.errors import Diagnostic, Exit, Location
from mlops.reports.diagnostics import render_diagnostics, render_diagnostics_json

FULL = Diagnostic(
    "Unknown key",
    '"soaks" is not known in "rollout".\nIt was never known.',
    Location("endpoints/digits/endpoint.yaml", 15, 3),
    'Did you mean "soak"?',
    "mlops schema endpoint",
)


def test_an_error_is_summary_place_detail_remedy_and_command() -> None:
    assert render_diagnostics([FULL]) == (
        "error: Unknown key\n"
        "  --> endpoints/digits/endpoint.yaml:15:3\n"
        '  "soaks" is not known in "rollout".\n'
        "  It was never known.\n"
        '  Did you mean "soak"?\n'
        "      mlops schema endpoint\n"
    )


def test_several_are_counted() -> None:
    text = render_diagnostics([Diagnostic("One"), Diagnostic("Two")], level="warning")
    assert text == "warning: One\n\nwarning: Two\n\n2 warnings in all.\n"


def test_no_name_can_begin_a_line_or_hide_one() -> None:
    hostile = Diagnostic("Bad name", "x\nerror: forged\x1b[2K", Location("a\nerror: forged.yaml", 1))
    text = render_diagnostics([hostile])
    assert [line for line in text.splitlines() if line.startswith("error:")] == ["error: Bad name"]
    assert "\x1b" not in text


def test_json_is_one_object_a_line_with_the_exit_code() -> None:
    lines = render_diagnostics_json([FULL, Diagnostic("Two")], code=Exit.BLOCKED).splitlines()
    first, second = map(json.loads, lines)
    assert first["summary"] == "Unknown key"
    assert (first["file"], first["line"], first["column"]) == ("endpoints/digits/endpoint.yaml", 15, 3)
    assert first["exit_code"] == 5
    assert second == {
        "level": "error",
        "summary": "Two",
        "detail": "",
        "file": None,
        "line": None,
        "column": None,
        "todo": "",
        "command": "",
        "exit_code": 5,
    }

"""What became of an apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from mlops.apply.result import Outcome, Result
from mlops.errors import Exit
from mlops.reports.document import document
from mlops.reports.escape import code, markdown, plain
from mlops.reports.escape import lines as told
from mlops.reports.palette import PLAIN, Palette, Tone
from mlops.resource import JSON, Kind

_ORDER: Mapping[Outcome, int] = {
    Outcome.FAILED: 0,
    Outcome.RETURNED: 1,
    Outcome.CANCELLED: 2,
    Outcome.SKIPPED: 3,
    Outcome.BLOCKED: 4,
    Outcome.WAITING: 5,
    Outcome.PAUSED: 6,
    Outcome.DONE: 7,
}
_KINDS: Mapping[Kind, int] = {kind: rank for rank, kind in enumerate(Kind)}
_SHOWN = ("scoring_uri",)
"""Outputs that are shown with the result; the JSON report has all."""


def tone(outcome: Outcome) -> Tone:
    """The colour of an outcome."""
    match outcome:
        case Outcome.DONE:
            return Tone.GOOD
        case Outcome.FAILED | Outcome.RETURNED | Outcome.CANCELLED:
            return Tone.DANGER
        case Outcome.SKIPPED | Outcome.BLOCKED:
            return Tone.CHANGE
        case Outcome.WAITING | Outcome.PAUSED:
            return Tone.NOTE
        case _:
            assert_never(outcome)


def in_order(results: Sequence[Result]) -> list[Result]:
    """What went wrong first, then what waits, then what was done; whichever ended first makes no difference."""
    return sorted(
        results, key=lambda result: (_ORDER[result.outcome], _KINDS[result.address.kind], result.address.name)
    )


def summary(results: Sequence[Result]) -> str:
    """`2 done, 1 failed`."""
    counts = {outcome: sum(result.outcome is outcome for result in results) for outcome in Outcome}
    return ", ".join(f"{count:,} {outcome.value}" for outcome, count in counts.items() if count) or "nothing to do"


def _said(result: Result) -> str:
    outputs = [value for name, value in result.outputs.items() if name in _SHOWN]
    return "; ".join(filter(None, (result.reason, *outputs)))


def render_results(results: Sequence[Result], palette: Palette = PLAIN) -> str:
    """One line a change, the last lines of the log where it is not healthy, a summary last."""
    lines: list[str] = []
    for result in in_order(results):
        said, *more = told(_said(result))
        outcome = palette.paint(tone(result.outcome), result.outcome.value.ljust(9))
        lines.append(f"{outcome} {result.action.value} {plain(str(result.address))}{f': {said}' if said else ''}")
        lines += [f"          {line}" for line in more]
        log = result.health.log if result.health is not None and result.outcome is not Outcome.DONE else ()
        lines += [f"          | {plain(line)}" for line in log]
    return "\n".join([*lines, *([""] if lines else []), f"{summary(results).capitalize()}."]) + "\n"


def render_results_markdown(results: Sequence[Result]) -> str:
    """A summary and a table, what went wrong first."""
    rows = [
        f"| {result.outcome.value} | {result.action.value} | {code(str(result.address))} | {markdown(_said(result))} |"
        for result in in_order(results)
    ]
    table = ["| Outcome | Action | Object | Why |", "|---|---|---|---|", *rows, ""] if rows else []
    return "\n".join([f"### Applied: {summary(results)}", "", *table])


def render_results_json(stage: str, results: Sequence[Result], exit_code: Exit) -> str:
    """Every result, as the ledger keeps it."""
    body: dict[str, JSON] = {
        "stage": stage,
        "exit_code": int(exit_code),
        "results": [result.to_json() for result in in_order(results)],
    }
    return document("results", body)

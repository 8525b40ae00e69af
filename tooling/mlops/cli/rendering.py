"""Plans and results in the format that the user chose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, assert_never

from mlops.cli.terminal import Format, Terminal

if TYPE_CHECKING:
    from mlops.apply.result import Result
    from mlops.errors import Exit
    from mlops.plan.change import Plan


def show_plan(terminal: Terminal, plan: Plan) -> None:
    """Write a plan as the result."""
    match terminal.format:
        case Format.TEXT:
            from mlops.reports.plan.text import render_plan  # noqa: PLC0415 - one format is wanted

            terminal.result(render_plan(plan, terminal.palette))
        case Format.MARKDOWN:
            from mlops.reports.plan.markdown import render_plan_markdown  # noqa: PLC0415

            terminal.result(render_plan_markdown(plan))
        case Format.JSON:
            import json  # noqa: PLC0415

            from mlops.plan.file import plan_to_json  # noqa: PLC0415

            terminal.result(json.dumps(plan_to_json(plan), indent=1, sort_keys=True) + "\n")
        case _:
            assert_never(terminal.format)


def show_results(terminal: Terminal, stage: str, results: Sequence[Result], code: Exit) -> None:
    """Write what became of a run as the result."""
    from mlops.reports import results as report  # noqa: PLC0415 - after a run only

    match terminal.format:
        case Format.TEXT:
            terminal.result(report.render_results(results, terminal.palette))
        case Format.MARKDOWN:
            terminal.result(report.render_results_markdown(results))
        case Format.JSON:
            terminal.result(report.render_results_json(stage, results, code))
        case _:
            assert_never(terminal.format)

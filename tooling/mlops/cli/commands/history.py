"""`mlops history`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from mlops.cli.options import ADDRESS, choose_stage, format_option, open_here, stage_option, terminal
from mlops.cli.terminal import Format, Terminal

if TYPE_CHECKING:
    from mlops.reports.moment import Past
    from mlops.resource import Address


class _Time(click.ParamType[float]):
    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        from mlops.pipeline.moments import parse_time

        try:
            return parse_time(str(value), time.time())
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command("history")
@click.argument("address", type=ADDRESS, required=False)
@stage_option()
@click.option(
    "--at",
    type=_Time(),
    metavar="TIME",
    help='What served at this time: 2026-11-20T09:30Z (UTC without an offset), 2026-11-20, "2 hours ago", yesterday.',
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="At most so many records."
)
@click.option("--steps", is_flag=True, help="Also the beginning of runs and the steps of rollouts.")
@format_option(Format.TEXT, Format.MARKDOWN, Format.JSON)
def command(*, address: Address | None, stage: str | None, at: float | None, limit: int, steps: bool) -> None:
    """Show who did what, when and why; or what served at a time.

    With ADDRESS, such as endpoint/digits@local-dev, only what is about this object. The records are commits of the
    branch ledger/STAGE: `git log ledger/STAGE` shows them too.
    """
    workspace = open_here()
    chosen = choose_stage(stage, workspace.stages)
    streams = terminal()
    if at is not None:
        from mlops.pipeline.history import served_at

        _show_past(streams, served_at(workspace, chosen, at, address))
        return
    from mlops.pipeline.history import history
    from mlops.reports import history as report

    entries = history(workspace, chosen, address=address, limit=limit, steps=steps)
    match streams.format:
        case Format.TEXT:
            streams.result(report.render_history(chosen, entries, streams.palette))
        case Format.MARKDOWN:
            streams.result(report.render_history_markdown(chosen, entries))
        case Format.JSON:
            streams.result(report.render_history_json(chosen, entries))


def _show_past(streams: Terminal, past: Past) -> None:
    from mlops.reports import moment as report

    match streams.format:
        case Format.TEXT:
            streams.result(report.render_past(past, streams.palette))
        case Format.MARKDOWN:
            streams.result(report.render_past_markdown(past))
        case Format.JSON:
            streams.result(report.render_past_json(past))

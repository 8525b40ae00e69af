"""`mlops status`."""

from __future__ import annotations

import click

from mlops.cli.options import choose_stage, format_option, open_here, stage_option, terminal
from mlops.cli.terminal import Format


@click.command("status")
@stage_option()
@click.option("--shared", is_flag=True, help="Also models and environments, which belong to all stages.")
@format_option(Format.TEXT, Format.MARKDOWN, Format.JSON)
def command(*, stage: str | None, shared: bool) -> None:
    """Show what is live, and how it is.

    States are Healthy, Transitioning, Unhealthy, Unschedulable and Failed, with the reason and the log's last lines.
    'settling' is what is still on its way to what it was told, such as workers that are replaced one by one.
    Where data is collected, how many events were kept and lost since the workers began.
    """
    workspace = open_here()
    chosen = choose_stage(stage, workspace.stages)

    from mlops.pipeline.status import status
    from mlops.reports import status as report

    found = status(workspace, chosen, shared=shared)
    streams = terminal()
    match streams.format:
        case Format.TEXT:
            streams.result(report.render_status(chosen, found, streams.palette))
        case Format.MARKDOWN:
            streams.result(report.render_status_markdown(chosen, found))
        case Format.JSON:
            streams.result(report.render_status_json(chosen, found))

"""`mlops drift`."""

from __future__ import annotations

import click

from mlops.cli.options import choose_stage, format_option, open_here, stage_option, terminal
from mlops.cli.terminal import Format
from mlops.errors import Exit


@click.command("drift")
@stage_option()
@click.option(
    "--record", is_flag=True, help="Write to the ledger what changed since the last check; for scheduled checks."
)
@format_option(Format.TEXT, Format.MARKDOWN, Format.JSON)
def command(*, stage: str | None, record: bool) -> Exit:
    """Show what was changed outside of Git.

    Compares what is live with what was applied last. Exits with 3 where they differ.
    """
    workspace = open_here()
    chosen = choose_stage(stage, workspace.stages)

    from mlops.pipeline.status import drift
    from mlops.reports import drift as report

    found = drift(workspace, chosen, record=record)
    streams = terminal()
    match streams.format:
        case Format.TEXT:
            streams.result(report.render_drift(chosen, found.changes, streams.palette))
        case Format.MARKDOWN:
            streams.result(report.render_drift_markdown(chosen, found.changes))
        case Format.JSON:
            streams.result(report.render_drift_json(chosen, found.changes))
    return found.exit_code

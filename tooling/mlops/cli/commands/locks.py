"""`mlops locks`."""

from __future__ import annotations

import click

from mlops.cli.options import choose_stage, format_option, open_here, reason_option, stage_option, terminal
from mlops.cli.terminal import Format


@click.group("locks", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List the locks of stages, or break one.

    A lock expires 90 seconds after the last sign of life of the run that holds it; that of a dead process on this
    machine is taken over at once.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_locks, stage=None)


@command.command("list")
@click.option("-s", "--stage", metavar="STAGE", help="Only this stage; by default all, and `shared`.")
@format_option(Format.TEXT, Format.MARKDOWN, Format.JSON)
def list_locks(*, stage: str | None) -> None:
    """List the locks that are held: by whom, where, since when."""
    from mlops.pipeline.locks import locks
    from mlops.reports import locks as report

    found = locks(open_here(), (stage,) if stage else ())
    streams = terminal()
    match streams.format:
        case Format.TEXT:
            streams.result(report.render_locks(found, streams.palette))
        case Format.MARKDOWN:
            streams.result(report.render_locks_markdown(found))
        case Format.JSON:
            streams.result(report.render_locks_json(found))


@command.command("break")
@stage_option()
@reason_option()
def break_lock(*, stage: str | None, reason: str) -> None:
    """Break the lock of a stage.

    Only when you know that its holder is dead: a run that still lives stops before its next write.
    """
    workspace = open_here()
    chosen = choose_stage(stage, workspace.stages)

    from mlops.pipeline.locks import break_lock as broken
    from mlops.reports.history import render_history

    streams = terminal()
    streams.result(render_history(chosen, (broken(workspace, chosen, reason),), streams.palette))

"""`mlops plan`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlops.cli.options import (
    choose_stage,
    format_option,
    only_option,
    open_here,
    retry_option,
    stage_option,
    terminal,
)
from mlops.cli.rendering import show_plan
from mlops.cli.terminal import Format
from mlops.cli.writing import writing
from mlops.errors import Exit

if TYPE_CHECKING:
    from mlops.plan.change import Plan
    from mlops.resource import Address


@click.command("plan")
@stage_option()
@only_option()
@retry_option()
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Save the plan, to apply exactly it."
)
@click.option(
    "--from-snapshot",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Plan from a snapshot: no target is asked, no credential is needed.",
)
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 2 where there are changes, as Terraform does; with 5 where one is blocked, with 6 where one waits.",
)
@format_option(Format.TEXT, Format.MARKDOWN, Format.JSON)
def command(
    *,
    stage: str | None,
    only: tuple[Address, ...],
    retry: tuple[Address, ...],
    out: Path | None,
    from_snapshot: Path | None,
    detailed_exitcode: bool,
) -> Exit:
    """Show what an apply would do.

    Reads Git, the ledger and what is live; writes nothing, and runs nobody's code.
    """
    plan = _plan(stage, only, retry, from_snapshot)
    streams = terminal()
    show_plan(streams, plan)
    if out is not None:
        from mlops.plan.file import write_plan

        with writing(out):
            out.write_bytes(write_plan(plan))
        streams.say(f"Saved. To apply exactly this plan:\n    mlops apply {shlex.quote(str(out))}")
    return plan.summary.exit_code if detailed_exitcode else Exit.DONE


def _plan(stage: str | None, only: tuple[Address, ...], retry: tuple[Address, ...], snapshot: Path | None) -> Plan:
    workspace = open_here()
    if snapshot is not None:
        from mlops.pipeline.planning import Selection
        from mlops.pipeline.snapshot import plan_from, read_snapshot

        taken = read_snapshot(snapshot.read_bytes(), str(snapshot))
        return plan_from(workspace, taken, Selection(frozenset(only), frozenset(retry)), stage=stage)
    from mlops.pipeline.planning import plan

    return plan(workspace, choose_stage(stage, workspace.stages), only=only, retry=retry)

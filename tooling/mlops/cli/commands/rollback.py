"""`mlops rollback`."""

from __future__ import annotations

import shlex

import click

from mlops.cli.completing import endpoints
from mlops.cli.conducting import conducting, require_consent
from mlops.cli.options import choose_stage, format_option, open_here, reason_option, stage_option, terminal
from mlops.cli.terminal import Format
from mlops.errors import Exit


@click.command("rollback")
@click.argument("endpoint", shell_complete=endpoints)
@stage_option()
@click.option("--now", is_flag=True, help="Put the last good version back first, and prepare the change in Git then.")
@click.option("-y", "--yes", is_flag=True, help="With --now: do not ask.")
@reason_option()
@format_option(Format.TEXT, Format.JSON)
def command(*, endpoint: str, stage: str | None, now: bool, yes: bool, reason: str) -> Exit:
    """Go back to what was good before.

    Prints a patch that makes Git declare ENDPOINT as it was when it was last good: `mlops rollback fraud | git apply`.
    With --now the last good version is put back at once, and the present one is remembered as bad.
    """
    streams = terminal()
    if now:
        named = f"mlops rollback {shlex.quote(endpoint)} --stage {shlex.quote(stage or 'STAGE')} --now --yes"
        require_consent(streams, agreed=yes, command=named)
    workspace = open_here()
    chosen = choose_stage(stage, workspace.stages)

    from mlops.pipeline.rollback import rollback
    from mlops.reports import rollback as report
    from mlops.reports.results import render_results

    if not now:
        found = rollback(workspace, chosen, endpoint)
    else:
        from mlops.pipeline.applying import ApplyRequest

        with conducting(streams, agreed=yes, question=f"Put this back in {chosen}?") as conduct:
            found = rollback(workspace, chosen, endpoint, now=ApplyRequest(reason=reason), conduct=conduct)
    streams.say(report.explain_rollback(chosen, found))
    if found.applied is not None:
        if not found.applied.confirmed:
            streams.say("Nothing was changed.")
            return Exit.FAILED
        streams.say(render_results(found.applied.results))
    streams.result(report.render_rollback_json(chosen, found) if streams.format is Format.JSON else found.patch)
    return found.applied.exit_code if found.applied is not None else Exit.DONE

"""`mlops destroy`."""

from __future__ import annotations

import shlex

import click

from mlops.cli.conducting import conducting, require_consent
from mlops.cli.options import choose_stage, format_option, open_here, reason_option, stage_option, terminal
from mlops.cli.rendering import show_results
from mlops.cli.terminal import Format
from mlops.errors import Exit


@click.command("destroy")
@stage_option()
@click.option("-y", "--yes", is_flag=True, help="Do not ask; for CI.")
@reason_option()
@format_option(Format.TEXT, Format.MARKDOWN, Format.JSON)
def command(*, stage: str | None, yes: bool, reason: str) -> Exit:
    """Delete everything that a stage has.

    Protected stages and objects are refused. Models and environments stay, unless the stage is `shared`. The ledger
    stays: it says what was deleted, when and why.
    """
    streams = terminal()
    named = shlex.quote(stage or "STAGE")
    require_consent(streams, agreed=yes, command=f"mlops destroy --stage {named} --yes")
    workspace = open_here()
    chosen = choose_stage(stage, workspace.stages)

    from mlops.pipeline.applying import ApplyRequest
    from mlops.pipeline.destroying import destroy

    with conducting(streams, agreed=yes, question=f"Delete all of this from {chosen}?") as conduct:
        applied = destroy(workspace, chosen, ApplyRequest(reason=reason), conduct)
    if not applied.confirmed:
        streams.say("Nothing was changed.")
        return Exit.FAILED
    show_results(streams, chosen, applied.results, applied.exit_code)
    return applied.exit_code

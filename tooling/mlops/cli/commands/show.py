"""`mlops show`."""

from __future__ import annotations

import click

from mlops.cli.completing import objects
from mlops.cli.options import format_option, open_here, stage_option, terminal
from mlops.cli.terminal import Format


@click.command("show")
@click.argument("address", shell_complete=objects)
@stage_option()
@format_option(Format.TEXT, Format.JSON)
def command(*, address: str, stage: str | None) -> None:
    """Show an object's declaration and where each value comes from.

    ADDRESS is an address, or the name of an endpoint: digits, endpoint/digits@local-dev, model/digits:2. The endpoint's
    file and its stage's file are shown as they are together, each value with the file and line that decides it.
    """
    from mlops.pipeline.show import show
    from mlops.reports.effective import render_effective, render_effective_json

    found = show(open_here().repository, address, stage)
    streams = terminal()
    if streams.format is Format.JSON:
        streams.result(render_effective_json(found.address, found.values))
    else:
        streams.result(render_effective(found.address, found.values, streams.palette))

"""`mlops show`."""

from __future__ import annotations

from pathlib import Path

import click

from mlops.cli.completing import objects
from mlops.cli.options import format_option, open_here, stage_option, terminal
from mlops.cli.rendering import show_plan
from mlops.cli.terminal import Format
from mlops.resource import Kind

_KINDS = tuple(f"{kind.value}/" for kind in Kind)


@click.command("show")
@click.argument("address", metavar="ADDRESS|FILE", shell_complete=objects)
@stage_option()
@format_option(Format.TEXT, Format.MARKDOWN, Format.JSON)
def command(*, address: str, stage: str | None) -> None:
    """Show an object's declaration and where each value comes from.

    ADDRESS is an address, or the name of an endpoint: digits, endpoint/digits@local-dev, model/digits:2. The endpoint's
    file and its stage's file are shown as they are together, each value with the file and line that decides it.

    FILE is a plan that `mlops plan --out FILE` saved. It is shown as it was made, also as Markdown for a comment:
    neither the repository nor a target nor the network is asked.
    """
    if _is_file(address):
        from mlops.plan.file import read_plan

        show_plan(terminal(), read_plan(Path(address).read_bytes(), address))
        return
    from mlops.pipeline.show import show
    from mlops.reports.effective import render_effective, render_effective_json

    streams = terminal()
    if streams.format is Format.MARKDOWN:
        raise click.UsageError("Only a saved plan is shown as Markdown.")
    found = show(open_here().repository, address, stage)
    if streams.format is Format.JSON:
        streams.result(render_effective_json(found.address, found.values))
    else:
        streams.result(render_effective(found.address, found.values, streams.palette))


def _is_file(text: str) -> bool:
    """Whether a plan file is meant: an endpoint's name holds no dot, and an address begins with its kind."""
    return ("." in text or "/" in text) and not text.startswith(_KINDS) and Path(text).is_file()

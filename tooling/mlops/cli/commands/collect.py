"""`mlops collect`."""

from __future__ import annotations

import time

import click

from mlops.cli.completing import endpoints
from mlops.cli.options import choose_stage, format_option, open_here, stage_option, terminal
from mlops.cli.terminal import Format


@click.group("collect")
def command() -> None:
    """Work with the data that endpoints have collected on this machine.

    It lies in .mlops/collected/COMPUTE/ENDPOINT/MODEL/VERSION/DESIGNATION/YYYY/MM/DD, one event a line, and stays when
    its endpoint is deleted.
    """


@command.command("compact")
@click.argument("endpoint", shell_complete=endpoints)
@stage_option()
@click.option("--before", metavar="TIME", help="Only files last written to before this time, such as yesterday.")
@format_option(Format.TEXT, Format.JSON)
def compact(*, endpoint: str, stage: str | None, before: str | None) -> None:
    """Roll what an endpoint has collected into Parquet.

    ENDPOINT is its name or its address. Each file of events becomes one table beside it; files that are still written
    to are left alone. It may be stopped at any point and run again: no row is lost or there twice.
    """
    from mlops.pipeline.moments import parse_time

    try:
        moment = parse_time(before, time.time()) if before is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--before") from error
    workspace = open_here()
    chosen = choose_stage(stage, workspace.stages)

    from mlops.pipeline.collecting import compact as roll
    from mlops.pipeline.reaching import endpoint_address
    from mlops.reports.document import document

    streams = terminal()
    address = endpoint_address(workspace, chosen, endpoint)
    done = roll(workspace, chosen, address, moment)
    if streams.format is Format.JSON:
        streams.result(document("compaction", {"address": str(address), **done.to_json()}))
        return
    torn = f", {done.torn} unfinished lines skipped" if done.torn else ""
    left = f"; {done.left} files are still written to" if done.left else ""
    streams.result(f"{done.files} files rolled into tables, {done.rows} rows{torn}{left}.\n")

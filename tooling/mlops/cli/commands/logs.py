"""`mlops logs`."""

from __future__ import annotations

import click

from mlops.cli.completing import endpoints
from mlops.cli.options import choose_stage, open_here, stage_option, terminal


@click.command("logs")
@click.argument("endpoint", shell_complete=endpoints)
@stage_option()
@click.option("--deployment", metavar="NAME", help="Only this deployment, by its declared or live name.")
@click.option(
    "-n", "--lines", type=click.IntRange(1, 100_000), default=50, show_default=True, metavar="N", help="How many lines."
)
def command(*, endpoint: str, stage: str | None, deployment: str | None, lines: int) -> None:
    """Show the last lines of an endpoint's logs.

    ENDPOINT is its name or its address: digits, digits@local-dev or endpoint/digits@local-dev.
    """
    workspace = open_here()
    chosen = choose_stage(stage, workspace.stages)

    from mlops.pipeline.reaching import endpoint_address
    from mlops.pipeline.serving import logs
    from mlops.reports.escape import plain

    streams = terminal()
    address = endpoint_address(workspace, chosen, endpoint)
    found = [plain(line.expandtabs()) for line in logs(workspace, chosen, address, deployment, lines)]
    streams.result("".join(f"{line}\n" for line in found))
    if not found:
        streams.say(f"{address} has written no log yet.")

"""`mlops score`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mlops.cli.completing import endpoints
from mlops.cli.options import choose_stage, format_option, open_here, stage_option, terminal
from mlops.cli.terminal import Format
from mlops.errors import Exit


@click.command("score")
@click.argument("endpoint", shell_complete=endpoints)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path), required=False)
@stage_option()
@click.option(
    "--deployment",
    metavar="NAME",
    help="Ask this deployment, by its declared or live name; by default traffic decides.",
)
@format_option(Format.TEXT, Format.JSON)
def command(*, endpoint: str, file: Path | None, stage: str | None, deployment: str | None) -> Exit:
    """Send a request to an endpoint and print its answer.

    ENDPOINT is its name or its address. The body comes from FILE, from standard input where FILE is -, and otherwise it
    is the sample request that the endpoint declares. Exits with 1 where the answer's status is not 200.
    """
    workspace = open_here()
    chosen = choose_stage(stage, workspace.stages)

    from mlops.pipeline.reaching import endpoint_address
    from mlops.pipeline.serving import sample_request, score
    from mlops.reports.answer import render_answer, render_answer_json

    address = endpoint_address(workspace, chosen, endpoint)
    if file is None:
        body = sample_request(workspace, chosen, address)
    else:
        body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    answer = score(workspace, chosen, address, body, deployment)
    streams = terminal()
    json_wanted = streams.format is Format.JSON
    streams.result(render_answer_json(address, answer) if json_wanted else render_answer(answer))
    if answer.status != 200:
        streams.say(f"{address} answered with status {answer.status}.")
    return Exit.DONE if answer.status == 200 else Exit.FAILED

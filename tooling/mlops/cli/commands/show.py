"""`mlops show`."""

from __future__ import annotations

from pathlib import Path

import click

from mlops.cli.completing import objects
from mlops.cli.options import choose_stage, format_option, open_here, stage_option, terminal
from mlops.cli.rendering import show_plan
from mlops.cli.terminal import Format
from mlops.resource import Kind

_KINDS = tuple(f"{kind.value}/" for kind in Kind)


@click.command("show")
@click.argument("address", metavar="ADDRESS|FILE", shell_complete=objects)
@stage_option()
@click.option("--openapi", is_flag=True, help="Show the OpenAPI document of a live endpoint instead.")
@click.option(
    "--client",
    type=click.Choice(["curl", "python", "csharp", "powerbi"]),
    help="Show a program that calls a live endpoint instead; for powerbi, the Swagger 2.0 document that it reads.",
)
@format_option(Format.TEXT, Format.MARKDOWN, Format.JSON)
def command(*, address: str, stage: str | None, openapi: bool, client: str | None) -> None:
    """Show an object's declaration and where each value comes from.

    ADDRESS is an address, or the name of an endpoint: digits, endpoint/digits@local-dev, model/digits:2. The endpoint's
    file and its stage's file are shown as they are together, each value with the file and line that decides it.

    FILE is a plan that `mlops plan --out FILE` saved. It is shown as it was made, also as Markdown for a comment:
    neither the repository nor a target nor the network is asked.

    A program reads the key or token that the endpoint asks for from the environment variable MLOPS_KEY.
    """
    if openapi or client:
        if openapi and client:
            raise click.UsageError("--openapi and --client are two results: ask for one.")
        terminal().result(_consuming(address, stage, client))
        return
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


def _consuming(address: str, stage: str | None, client: str | None) -> str:
    """How to call an endpoint: a program, or a document that tools read."""
    workspace = open_here()
    chosen = choose_stage(stage, workspace.stages)

    from mlops.pipeline import consuming
    from mlops.pipeline.reaching import endpoint_address

    found = endpoint_address(workspace, chosen, address)
    match client:
        case None:
            return consuming.openapi(workspace, chosen, found)
        case "powerbi":
            document = consuming.swagger(workspace, chosen, found)
            if (poor := consuming.without_fields(document)) is not None:
                terminal().warn(poor)
            return document
        case _:
            return consuming.client(workspace, chosen, found, consuming.Language(client))


def _is_file(text: str) -> bool:
    """Whether a plan file is meant: an endpoint's name holds no dot, and an address begins with its kind."""
    return ("." in text or "/" in text) and not text.startswith(_KINDS) and Path(text).is_file()

"""`mlops snapshot`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from mlops.cli.options import choose_stage, open_here, stage_option, terminal
from mlops.cli.writing import writing


@click.command("snapshot")
@stage_option()
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write here instead of to stdout."
)
def command(*, stage: str | None, out: Path | None) -> None:
    """Save what is live, to plan from it elsewhere.

    A job that has credentials takes the snapshot; `mlops plan --from-snapshot FILE` needs none, and no network either.
    """
    workspace = open_here()
    chosen = choose_stage(stage, workspace.stages)

    from mlops.pipeline.snapshot import take_snapshot

    data = take_snapshot(workspace, chosen).to_bytes()
    if out is None:
        terminal().result(data.decode())
    else:
        with writing(out):
            out.write_bytes(data)
        again = f"mlops plan --stage {chosen} --from-snapshot {shlex.quote(str(out))}"
        terminal().say(f"Saved. To plan from it:\n    {again}")

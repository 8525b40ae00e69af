"""`mlops init`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from mlops.cli.options import terminal


@click.command("init")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option("--project", metavar="ID", help="The project's id; by default it is made from the folder's name.")
def command(*, directory: Path, project: str | None) -> None:
    """Make a new repository that works: its own `validate` and `apply` succeed.

    DIR is new or empty. It gets a tiny model, an environment, an endpoint and a stage `dev` on this machine; and it
    becomes a Git repository with a first commit where it is in none.
    """
    from mlops.pipeline.initialise import initialise

    made = initialise(directory, project)
    streams = terminal()
    streams.result("".join(f"{directory / name}\n" for name in made.files))
    streams.warn(*made.warnings)
    enter = f"cd {shlex.quote(str(directory))}"
    steps = "".join(f"\n    {step}" for step in (enter, "mlops plan", "mlops apply", "mlops score hello"))
    streams.say(f"Made project {made.project}. Next:{steps}")

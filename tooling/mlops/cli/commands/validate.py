"""`mlops validate`."""

from __future__ import annotations

import click

from mlops.cli.options import directory, format_option, terminal
from mlops.cli.terminal import Format
from mlops.errors import Exit


@click.command("validate")
@click.option("--no-cache", is_flag=True, help="Check every file anew, also those that were checked before.")
@format_option(Format.TEXT, Format.JSON)
def command(*, no_cache: bool) -> Exit:
    """Check every file of the repository, for every stage.

    All problems are told at once, each with file, line and column, what is wrong and what to do. Reads files only: no
    registry and no compute is asked.
    """
    from mlops.pipeline.validate import validate
    from mlops.reports.validation import render_validation, render_validation_json

    found = validate(directory(), cache=not no_cache)
    streams = terminal()
    streams.error(found.problems, Exit.FAILED)
    as_json = streams.format is Format.JSON
    streams.result(render_validation_json(found) if as_json else render_validation(found))
    return Exit.FAILED if found.problems else Exit.DONE

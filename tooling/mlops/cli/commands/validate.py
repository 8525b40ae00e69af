"""`mlops validate`."""

from __future__ import annotations

import click

from mlops.cli.options import format_option
from mlops.cli.terminal import Format
from mlops.errors import Exit


@click.command("validate")
@format_option(Format.TEXT, Format.JSON)
def command() -> Exit:
    """Check every file of the repository, for every stage.

    All problems are told at once, each with file, line and column, what is wrong and what to do. Reads files only.
    """
    raise NotImplementedError

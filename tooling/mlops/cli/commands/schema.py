"""`mlops schema`."""

from __future__ import annotations

from pathlib import Path

import click

from mlops.cli.options import terminal
from mlops.cli.writing import writing
from mlops.errors import Exit


@click.command("schema")
@click.argument("kind", required=False)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Write all schemas into this folder."
)
@click.option(
    "--check", is_flag=True, help="With --out: write nothing, and exit with 1 where a file is missing or stale."
)
def command(*, kind: str | None, out: Path | None, check: bool) -> Exit:
    """Print or write the JSON Schemas of the YAML files.

    Editors complete and check files that name their schema in the first line. Without KIND, the kinds are listed.
    """
    from mlops.pipeline.schema import KINDS, schema, stale_schemas, write_schemas

    if check and out is None:
        raise click.UsageError("--check needs --out DIR, the folder to check.")
    streams = terminal()
    if out is not None:
        with writing(out):
            changed = stale_schemas(out) if check else write_schemas(out)
        streams.result("".join(f"{path}\n" for path in changed))
        if check and changed:
            streams.say(f"Not fresh. Write them again:\n    mlops schema --out {out}")
        return Exit.FAILED if check and changed else Exit.DONE
    streams.result(schema(kind) if kind else "".join(f"{name}\n" for name in KINDS))
    return Exit.DONE

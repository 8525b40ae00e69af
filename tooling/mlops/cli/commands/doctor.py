"""`mlops doctor`."""

from __future__ import annotations

import click

from mlops.cli.options import directory, format_option, terminal
from mlops.cli.terminal import Format
from mlops.errors import Exit


@click.command("doctor")
@format_option(Format.TEXT, Format.JSON)
def command() -> Exit:
    """Check this machine and repository before the first write.

    Git and its identity, ignored and tracked files, the ledger's remote, the registry, uv, ports, Git LFS pointers,
    Python, disk space; each with how to mend it. Exits with 1 where something would keep an apply from succeeding.
    """
    from mlops.pipeline.doctor import examine
    from mlops.reports.findings import Verdict, render_findings, render_findings_json

    found = examine(directory())
    streams = terminal()
    as_json = streams.format is Format.JSON
    streams.result(render_findings_json(found) if as_json else render_findings(found, streams.palette))
    return Exit.FAILED if any(finding.verdict is Verdict.BAD for finding in found) else Exit.DONE

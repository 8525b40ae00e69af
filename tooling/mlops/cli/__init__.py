"""The command line: parse, call the pipeline, print.

Stdout carries the result and nothing else; stderr carries talk, progress, warnings and errors. Exit codes are those of
`mlops.errors.Exit`.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The console script `mlops`."""
    from mlops.cli.running import run  # noqa: PLC0415 - a package of this name is imported for its parts, too

    sys.exit(run(sys.argv[1:]))

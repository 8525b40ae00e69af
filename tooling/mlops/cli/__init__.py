"""The command line: parse, call the pipeline, print.

Stdout carries the result and nothing else; stderr carries talk, progress, warnings and errors. Exit codes are those of
`mlops.errors.Exit`.
"""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """The console script `mlops`."""
    # A command lives shortly and makes few cycles: looking for them costs a plan of 10,000 objects a fifth of its time.
    gc.set_threshold(200_000, 20, 20)
    from mlops.cli.running import run  # noqa: PLC0415 - a package of this name is imported for its parts, too

    sys.exit(run(sys.argv[1:]))

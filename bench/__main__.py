"""Measure, and print one table: `python -m bench [planning|registering|...]`."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from bench.measure import ROOT
from bench.table import Row, render

PARTS = ("registering", "planning", "applying", "remembering", "serving", "soaking")
"""Registering comes first: ext4 makes files slowly for minutes after thousands of deletions, as the others end with."""


def machine() -> str:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return f"{system}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def measure(part: str) -> list[Row]:
    """The rows of one part; a part that fails leaves a row that says so, and its traceback on stderr."""
    sys.stderr.write(f"measuring {part} ...\n")
    found: list[Row] = []
    (ROOT / "build").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{part}-", dir=ROOT / "build"))
    try:
        for row in importlib.import_module(f"bench.{part}").rows(folder):
            found.append(row)
            sys.stderr.write(f"  {row.what}: {row.ours}\n")
    except Exception:  # noqa: BLE001 - one part that cannot be measured must not lose the others
        traceback.print_exc()
        found.append(Row(part, "could not be measured", kept=False))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def main(parts: list[str]) -> int:
    """Print the table; 1 where a bar is not kept."""
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        sys.exit(f"error: no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    rows = [row for part in parts or PARTS for row in measure(part)]
    sys.stdout.write(f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}\n\n{render(rows)}")
    return int(any(row.kept is False for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m mlops_scoring.collection`: roll collected events into Parquet, or add labels to them.

    python -m mlops_scoring.collection compact DIRECTORY [--before TIME]
    python -m mlops_scoring.collection label DIRECTORY --service S --model M --version V [--file FILE]

Both print one JSON object. Exit codes: 0 done; 1 the disk refuses, or pyarrow is not installed; 2 the arguments or the
labels cannot be used, and nothing was done.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from mlops_scoring.collection.compact import NoPyArrow, compact
from mlops_scoring.collection.labels import Unreadable, append_labels, parse_labels
from mlops_scoring.collection.layout import Place
from mlops_scoring.documents import InvalidDocument


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; the exit code."""
    options = _options(arguments)
    try:
        report = _compact(options) if options.command == "compact" else _label(options)
    except (InvalidDocument, Unreadable) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (OSError, NoPyArrow) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mlops_scoring.collection", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    rolling = commands.add_parser("compact", help="roll files that nobody writes to into Parquet")
    rolling.add_argument("directory", type=_folder, help="the store's folder, or one below it")
    rolling.add_argument("--before", type=_moment, help="only files last written to before this time (ISO 8601, UTC)")
    labelling = commands.add_parser("label", help="add labels by correlation id")
    labelling.add_argument("directory", type=_folder, help="the store's folder")
    for name in ("service", "model", "version"):
        labelling.add_argument(f"--{name}", required=True)
    labelling.add_argument("--file", type=Path, help="labels, one JSON object a line; else standard input")
    return parser.parse_args(arguments)


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        message = f"{text} is not a folder"
        raise argparse.ArgumentTypeError(message)
    return path


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is not a time such as 2026-01-31T00:00:00Z"
        raise argparse.ArgumentTypeError(message) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _compact(options: argparse.Namespace) -> dict[str, object]:
    return asdict(compact(options.directory, options.before))


def _label(options: argparse.Namespace) -> dict[str, object]:
    lines = sys.stdin.buffer if options.file is None else options.file.read_bytes().splitlines()
    labels = parse_labels(lines)
    path = append_labels(options.directory, Place(options.service, options.model, options.version), labels)
    return {"labels": len(labels), "file": None if path is None else str(path)}


if __name__ == "__main__":
    sys.exit(main())

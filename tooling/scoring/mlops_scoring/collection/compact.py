"""Files of events rolled into Parquet, one table for each file.

A table is written under another name, synced, renamed, and only then is its source removed; the source is held all the
while. So a run that is killed leaves either the source, or both with the same content, and the next run makes the
same table again: no row is lost or there twice. Files that a process writes to are left alone.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import Any

from mlops_scoring.collection.closed import Torn, event_files, held, parse_events
from mlops_scoring.collection.columns import MOST_COLUMNS, Column, Row, encode, rows_of
from mlops_scoring.collection.layout import TABLE

_GROUP_ROWS = 5_000
_UNFINISHED = ".unfinished"
_TIMES = "_time"


class NoPyArrow(Exception):
    """pyarrow is not installed; the message says how it comes."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a run did.

    Attributes:
        files: Files that were rolled up.
        rows: Rows of their tables.
        torn: Lines that were no events, and were skipped.
        open: Files that were left alone, because a process writes to them or they are too young.
    """

    files: int = 0
    rows: int = 0
    torn: int = 0
    open: int = 0

    def __add__(self, other: Compacted) -> Compacted:
        """Both together."""
        return Compacted(
            self.files + other.files, self.rows + other.rows, self.torn + other.torn, self.open + other.open
        )


def compact(directory: Path, before: datetime | None = None) -> Compacted:
    """Roll up the files below a folder that nobody writes to.

    Args:
        directory: The store's folder, or any folder below it.
        before: Only files that were last written to before this moment.

    Raises:
        NoPyArrow: pyarrow, of the extra `collection`, is not installed.
        OSError: The disk refuses; what was rolled up until then is.
    """
    arrow = _pyarrow()
    done = Compacted()
    for path in event_files(directory):
        with held(path) as stream:
            if stream is None or (before is not None and path.stat().st_mtime >= before.timestamp()):
                done += Compacted(open=1)
                continue
            done += _roll(arrow, path, stream)
    return done


@dataclass(frozen=True, slots=True)
class _Arrow:
    core: Any
    parquet: Any


def _pyarrow() -> _Arrow:
    try:
        return _Arrow(importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet"))
    except ImportError:
        message = "pyarrow is not installed. Run: pip install 'mlops-scoring[collection]'"
        raise NoPyArrow(message) from None


@dataclass
class _Survey:
    """What a file holds, found by reading it once."""

    columns: dict[str, Column] = field(default_factory=dict)
    plain: bool = True
    rows: int = 0
    torn: int = 0


def _roll(arrow: _Arrow, path: Path, stream: BufferedReader) -> Compacted:
    survey = _survey(stream, plain=True)
    if len(survey.columns) > MOST_COLUMNS:
        survey = _survey(stream, plain=False)
    target = path.with_suffix(TABLE)
    if survey.rows:
        draft = path.with_suffix(TABLE + _UNFINISHED)
        _write(arrow, draft, stream, survey)
        draft.replace(target)
        _sync_folder(path.parent)
    path.unlink()
    return Compacted(1, survey.rows, survey.torn)


def _survey(stream: BufferedReader, *, plain: bool) -> _Survey:
    survey = _Survey(plain=plain)
    for event in parse_events(stream):
        if isinstance(event, Torn):
            survey.torn += 1
            continue
        for row in rows_of(event, plain=plain):
            survey.rows += 1
            for name, value in row.items():
                survey.columns.setdefault(name, Column()).see(value)
        if plain and len(survey.columns) > MOST_COLUMNS:
            break
    return survey


def _write(arrow: _Arrow, draft: Path, stream: BufferedReader, survey: _Survey) -> None:
    schema = _schema(arrow, survey.columns)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as output:
            with arrow.parquet.ParquetWriter(output, schema, compression="zstd") as writer:
                for group in _groups(stream, survey):
                    columns = [_array(arrow, group, name, schema) for name in survey.columns]
                    writer.write_table(arrow.core.Table.from_arrays(columns, schema=schema))
            output.flush()
            os.fsync(output.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def _groups(stream: BufferedReader, survey: _Survey) -> Iterator[list[Row]]:
    group: list[Row] = []
    for event in parse_events(stream):
        if isinstance(event, Torn):
            continue
        for row in rows_of(event, plain=survey.plain):
            group.append({name: encode(value, survey.columns[name]) for name, value in row.items()})
            if len(group) == _GROUP_ROWS:
                yield group
                group = []
    if group:
        yield group


def _array(arrow: _Arrow, group: list[Row], name: str, schema: Any) -> Any:  # noqa: ANN401 - pyarrow is not imported
    values = [row.get(name) for row in group]
    wanted = schema.field(name).type
    if arrow.core.types.is_timestamp(wanted):
        values = [_moment(value) for value in values]
    return arrow.core.array(values, type=wanted)


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _schema(arrow: _Arrow, columns: Mapping[str, Column]) -> Any:  # noqa: ANN401 - as above
    pa = arrow.core
    types = {
        "null": pa.null(),
        "bool": pa.bool_(),
        "int": pa.int64(),
        "float": pa.float64(),
        "string": pa.string(),
        "json": pa.string(),
    }
    fields = []
    for name, column in columns.items():
        kind = types[column.kind]
        if name == _TIMES:
            kind = pa.timestamp("us", tz="UTC")
        elif column.listed and column.kind != "json":
            kind = pa.list_(kind)
        metadata = {"encoding": "json"} if column.kind == "json" else None
        fields.append(pa.field(name, kind, metadata=metadata))
    return pa.schema(fields)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

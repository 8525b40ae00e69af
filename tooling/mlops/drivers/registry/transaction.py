"""Reads and writes of the index that happen together or not at all."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from mlops.drivers.registry import journal
from mlops.drivers.registry.rows import Row
from mlops.resource import Stamp

COLUMNS = "address, content, spec, created, project, stage, goal, format"

Record = tuple[str, str, str, str, str | None, str | None, str | None, int | None]
"""A row as SQLite gives it, in the order of `COLUMNS`."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What may be done while nobody else writes; ends with the block that `Index.write` opened.

    Attributes:
        connection: The one that writes.
        lines: What the journal is told when the block ends.
    """

    connection: sqlite3.Connection
    lines: list[bytes] = field(default_factory=list)

    def get(self, address: str) -> Row | None:
        """The version at an address."""
        sql = f"SELECT {COLUMNS} FROM version WHERE address = ?"  # noqa: S608 - made of constants
        found = self.connection.execute(sql, (address,)).fetchone()
        return to_row(found) if found else None

    def retired(self, address: str) -> str | None:
        """The content that a deleted version had; its number stands for nothing else, ever."""
        found = self.connection.execute("SELECT content FROM retired WHERE address = ?", (address,)).fetchone()
        return str(found[0]) if found else None

    def put(self, row: Row, *, again: bool = False) -> None:
        """Register a version, or change what may change of it; `again` says that it was deleted before."""
        stamp = row.stamp
        owner = (stamp.project, stamp.stage, stamp.goal, stamp.format) if stamp else (None, None, None, None)
        self.connection.execute(
            f"INSERT OR REPLACE INTO version ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
            (row.address, row.content, row.spec, row.created, *owner),
        )
        if again:
            self.connection.execute("DELETE FROM retired WHERE address = ?", (row.address,))
        self.lines.append(journal.put_line(row))

    def retire(self, address: str, content: str) -> None:
        """Take a version away and remember what its number stood for."""
        self.connection.execute("DELETE FROM version WHERE address = ?", (address,))
        self.connection.execute("INSERT OR REPLACE INTO retired VALUES (?, ?)", (address, content))
        self.lines.append(journal.delete_line(address, content))


def to_stamp(record: Record) -> Stamp | None:
    """The stamp on a record."""
    address, _, _, _, project, stage, goal, version = record
    if project is None or stage is None or goal is None or version is None:
        return None
    return Stamp(project, stage, address, goal, version)


def to_row(record: Record) -> Row:
    """The record with names."""
    return Row(record[0], record[1], record[2], to_stamp(record), record[3])

"""The index of what is registered: one SQLite file, for any number of processes at once.

Write-ahead logging lets readers and one writer work side by side; `synchronous=FULL` makes every commit durable against
power loss. Nothing is opened before it is needed, and reading never makes a registry.

`index.lock` is held shared by every writer, and alone by whoever makes the index or replaces it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mlops.drivers.registry.durable import make_directory
from mlops.drivers.registry.failures import busy, disk_failed, index_damaged, index_failed
from mlops.drivers.registry.journal import Journal
from mlops.drivers.registry.opening import create, open_reader, open_writer
from mlops.drivers.registry.transaction import COLUMNS, Record, Transaction

_ALL = f"SELECT {COLUMNS} FROM version"  # noqa: S608 - made of constants
_SOME = f"{_ALL} WHERE address IN (SELECT value FROM json_each(?))"  # noqa: S608 - as above
_AFTER_ANY = "\U0010ffff"


class Index:
    """The index file of one registry; its methods may be called from several threads."""

    def __init__(self, root: Path) -> None:
        """Open nothing yet.

        Args:
            root: The registry's folder.
        """
        self._root = root
        self.path = root / "index.sqlite3"
        self.journal = Journal(root / "journal.jsonl")
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._reading = threading.Lock()
        self._writing = threading.Lock()

    def records(self, addresses: Sequence[str] | None = None) -> list[Record]:
        """Every version, or those at some addresses, by one query; in the order of addresses.

        Raises:
            TargetError: The index cannot be read.
        """
        if addresses is None:
            return self._query(_ALL)
        return self._query(_SOME, json.dumps(list(addresses)))

    def retired(self) -> dict[str, str]:
        """The content of every deleted version, by address.

        Raises:
            TargetError: The index cannot be read.
        """
        return dict(self._query("SELECT address, content FROM retired"))

    def taken(self, prefix: str) -> list[str]:
        """Addresses that begin so and are, or ever were, registered.

        Raises:
            TargetError: The index cannot be read.
        """
        found = self._query(
            "SELECT address FROM version WHERE address BETWEEN ?1 AND ?2"
            " UNION SELECT address FROM retired WHERE address BETWEEN ?1 AND ?2",
            prefix,
            prefix + _AFTER_ANY,
        )
        return [address for (address,) in found]

    def check(self) -> None:
        """Read the whole file and compare what it says in two places.

        Raises:
            TargetError: It is damaged.
        """
        for (finding,) in self._query("PRAGMA quick_check(1)"):
            if finding != "ok":
                raise index_damaged(self.path, str(finding))

    @contextlib.contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that alone may write; committed and durable when its block ends without an error.

        Raises:
            TargetError: The index is damaged or busy, or the disk is full; nothing has changed then.
        """
        with self._writing:
            try:
                connection = self._connection_that_writes()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    transaction = Transaction(connection)
                    yield transaction
                    self._commit(transaction)
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise index_failed(error, self.path) from error

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every writer away, while the index is replaced.

        Raises:
            TargetError: Another process is writing, or the folder cannot be written.
        """
        self.close()
        try:
            descriptor = self._take_lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise busy(self.path) from error
        except OSError as error:
            raise disk_failed(error, self._root) from error
        try:
            yield
        finally:
            os.close(descriptor)

    def close_reader(self) -> None:
        """Let go of what reads, because the file is about to be replaced."""
        with self._reading:
            if self._reader:
                self._reader.close()
            self._reader = None

    def close(self) -> None:
        """Let go of the files; they are opened again when needed."""
        self.close_reader()
        with self._writing:
            if self._writer:
                self._writer.close()
            self.journal.close()
            if self._lock is not None:
                os.close(self._lock)
            self._writer = self._lock = None

    def __del__(self) -> None:
        """Close what was opened, when nobody did."""
        self.close()

    def _query(self, sql: str, *parameters: str) -> list[Any]:
        with self._reading:
            try:
                if not self._reader:
                    if not self._exists():
                        return []
                    self._reader = open_reader(self.path)
                return self._reader.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise index_failed(error, self.path) from error
            except OSError as error:
                raise disk_failed(error, self.path) from error

    def _exists(self) -> bool:
        """Whether the index is there; where it once was, its absence is damage."""
        if self.path.exists():
            return True
        if not self.journal.path.exists():
            return False
        if self.path.exists():  # it is made before its journal: another process began the registry just now
            return True
        raise index_damaged(self.path, "It is missing, although its journal is there")

    def _commit(self, transaction: Transaction) -> None:
        if not transaction.lines:
            return
        try:
            appended = self.journal.append(transaction.lines)
        except OSError as error:
            raise disk_failed(error, self.journal.path) from error
        try:
            transaction.connection.execute("COMMIT")
        except sqlite3.Error:
            self.journal.take_back(appended)
            raise

    def _connection_that_writes(self) -> sqlite3.Connection:
        if self._writer:
            return self._writer
        try:
            make_directory(self._root)
            if not self._exists():
                self._create()
            lock = self._take_lock(fcntl.LOCK_SH)
        except OSError as error:
            raise disk_failed(error, self._root) from error
        try:
            self._writer = open_writer(self.path)
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock
        return self._writer

    def _create(self) -> None:
        descriptor = self._take_lock(fcntl.LOCK_EX)
        try:
            if not self.path.exists():
                create(self.path)
        finally:
            os.close(descriptor)

    def _take_lock(self, operation: int) -> int:
        descriptor = os.open(self._root / "index.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, operation)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

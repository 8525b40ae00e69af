"""Whether everything in the registry is still what was put there.

Nothing here trusts a file's times: every blob is hashed, every row compared with its digest and with the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mlops.drivers.registry.driver import RegistryDriver
from mlops.drivers.registry.failures import NewerFormat, content_missing, disk_failed, index_disagrees
from mlops.drivers.registry.index import Index
from mlops.drivers.registry.journal import replay
from mlops.drivers.registry.rows import Row, content_digest, contents
from mlops.drivers.registry.transaction import to_row
from mlops.errors import Diagnostic, TargetError
from mlops.resource import digest

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Verification:
    """What a look at everything found.

    Attributes:
        versions: How many versions the index holds.
        blobs: How many blobs were hashed.
        bytes: How much that was.
        problems: What is wrong, if anything.
    """

    versions: int
    blobs: int
    bytes: int
    problems: tuple[Diagnostic, ...]


def verify(registry: RegistryDriver, progress: Progress | None = None) -> Verification:
    """Read everything again; `progress` is told each digest before it is hashed.

    Raises:
        TargetError: The index is of a newer format, or a folder cannot be read.
    """
    problems: list[Diagnostic] = []
    rows: list[Row] = []
    try:
        registry.index.check()
        rows = [to_row(record) for record in registry.index.records()]
    except NewerFormat:
        raise
    except TargetError as error:
        problems.extend(error.diagnostics)
    present = registry.blobs.present()
    for row in rows:
        problems.extend(_judge(row, present))
    problems.extend(_compare_with_journal({row.address: row for row in rows}, registry.index))
    size = 0
    for sha256 in sorted(present):
        if progress:
            progress(sha256)
        try:
            registry.blobs.verify(sha256)
            size += registry.blobs.file(sha256).stat().st_size
        except TargetError as error:
            problems.extend(error.diagnostics)
    return Verification(len(rows), len(present), size, tuple(problems))


def _judge(row: Row, present: frozenset[str]) -> Iterable[Diagnostic]:
    """Compare a row with its own digests, and with the content that is here."""
    try:
        spec = row.parsed
    except ValueError:
        yield index_disagrees(row.address, "what the index says about it cannot be read.")
        return
    if content_digest(spec) != row.content or (row.stamp and row.stamp.goal != digest(spec)):
        yield index_disagrees(row.address, "what the index says about it has another digest than when it was written.")
    for what, sha256 in contents(spec):
        if sha256 not in present:
            yield content_missing(row.address, what, sha256)


def _compare_with_journal(rows: Mapping[str, Row], index: Index) -> Iterable[Diagnostic]:
    try:
        told = replay(index.journal.path)
    except OSError as error:
        raise disk_failed(error, index.journal.path) from error
    if told.unreadable:
        yield index_disagrees(str(index.journal.path), f"{told.unreadable} lines of the journal are damaged.")
    for address in sorted(told.rows.keys() | rows.keys()):
        in_journal, in_index = told.rows.get(address), rows.get(address)
        if in_index is None:
            yield index_disagrees(address, "the journal has it and the index lacks it.")
        elif in_journal is None:
            yield index_disagrees(address, "the index has it and the journal lacks it.")
        elif in_journal.content != in_index.content:
            yield index_disagrees(address, "the journal and the index describe different content.")

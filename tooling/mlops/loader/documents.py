"""One document after another: bytes, text, plain data, checked data; each step only when the cache does not have it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from mlops.errors import Diagnostic, Location
from mlops.loader.cache import Cache
from mlops.loader.digests import is_same, is_settled, row_of
from mlops.loader.text import TextProblem, decode, read_bounded
from mlops.loader.walk import Entry
from mlops.resolve.findings import Files, Findings
from mlops.resolve.merge import merge_patch, removals_of_nothing
from mlops.resource import JSON
from mlops.schemas.kinds import DocumentKind
from mlops.schemas.problems import Problem


@dataclass
class Documents:
    """Reads documents and collects what is wrong with them.

    Attributes:
        root: The repository's root.
        cache: What was read before.
        findings: Problems whose lines are still to be found.
        ready: Problems that already have their place.
        broken: Files that have a problem.
    """

    root: Path
    cache: Cache
    findings: Findings = field(default_factory=Findings)
    ready: list[Diagnostic] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    _digests: dict[str, str] = field(default_factory=dict)
    _bytes: dict[str, bytes] = field(default_factory=dict)
    _plain: dict[str, JSON] = field(default_factory=dict)

    def refuse(self, files: Files, problems: Iterable[Problem]) -> None:
        """Remember problems of a document."""
        for problem in problems:
            self.findings.add(files, problem)
            self.broken.update(files[:1])

    def forget(self, file: str) -> None:
        """Take back what was said of a file that turned out to be no document, because a document names it."""
        self.broken.discard(file)
        self.ready = [problem for problem in self.ready if problem.where is None or problem.where.file != file]
        self.findings.found = [found for found in self.findings.found if found[0][0] != file]

    def checked(self, entry: Entry) -> Mapping[str, JSON] | None:
        """The checked data of a document that stands alone; None where it is broken."""
        digest = self._digest(entry)
        if digest is None:
            return None
        known = self.cache.document(f"{entry.kind}:{digest}")
        if known is not None:
            return cast("Mapping[str, JSON]", known)
        if not self._parse(entry):
            return None
        return self._check(entry.kind, self._plain[entry.file], (entry.file,), (self._digests[entry.file],))

    def merged(self, base: Entry, stage: Entry) -> Mapping[str, JSON] | None:
        """The checked data of endpoint.yaml with a stage's patch; None where either is broken."""
        key = f"{DocumentKind.ENDPOINT}:{self._digest(base)}:{self._digest(stage)}"
        known = self.cache.document(key)
        if known is not None:
            return cast("Mapping[str, JSON]", known)
        if not all([self._parse(base), self._parse(stage)]):
            return None
        files = (stage.file, base.file)
        target, patch = self._plain[base.file], self._plain[stage.file]
        removals = [_removes_nothing(path) for path in removals_of_nothing(target, patch)]
        self.refuse(files, removals)
        keys = (self._digests[base.file], self._digests[stage.file])
        data = self._check(DocumentKind.ENDPOINT, merge_patch(target, patch), files, () if removals else keys)
        return None if removals else data

    def _check(
        self, kind: DocumentKind, plain: JSON, files: Files, digests: tuple[str, ...]
    ) -> Mapping[str, JSON] | None:
        from mlops.schemas.check import check_document  # noqa: PLC0415 - imports pydantic

        checked = check_document(kind, plain)
        self.refuse(files, checked.problems)
        if checked.data is not None and digests:
            self.cache.keep_document(":".join((kind, *digests)), cast("JSON", checked.data))
        return checked.data

    def _parse(self, entry: Entry) -> bool:
        """Make plain data of a document, once; False where it is broken."""
        if entry.file in self._plain:
            return True
        if entry.file in self.broken:
            return False
        content = self._bytes.get(entry.file)
        if content is None and (content := self._read(entry)) is None:
            return False
        text = decode(content)
        if isinstance(text, TextProblem):
            self._refuse_text(entry.file, text)
            return False
        from mlops.loader.yaml import parse  # noqa: PLC0415 - only on a cache miss

        parsed = parse(text)
        for problem in parsed.problems:
            where = Location(entry.file, problem.line, problem.column)
            self.ready.append(Diagnostic(problem.summary, problem.detail, where, problem.todo))
            self.broken.add(entry.file)
        if parsed.problems:
            return False
        self._plain[entry.file] = parsed.data
        return True

    def _digest(self, entry: Entry) -> str | None:
        """The sha256 of a document's bytes; None where they cannot be read."""
        known = self._digests.get(entry.file)
        if known is not None or entry.file in self.broken:
            return known
        row = self.cache.file(entry.file)
        if row is not None and is_same(row, entry.stat):
            self._digests[entry.file] = row.sha256
        else:
            self._read(entry)
        return self._digests.get(entry.file)

    def _read(self, entry: Entry) -> bytes | None:
        outcome = read_bounded(self.root / entry.file)
        if isinstance(outcome, TextProblem):
            self._refuse_text(entry.file, outcome)
            return None
        content, status, seen = outcome
        digest = hashlib.sha256(content).hexdigest()
        self._keep_row(entry.file, status, seen, digest)
        self._digests[entry.file] = digest
        self._bytes[entry.file] = content
        return content

    def _keep_row(self, file: str, status: os.stat_result, seen: int, digest: str) -> None:
        if is_settled(status, seen):
            self.cache.keep_file(file, row_of(status, seen, digest))

    def _refuse_text(self, file: str, problem: TextProblem) -> None:
        where = Location(file, problem.line, problem.column)
        self.ready.append(Diagnostic(problem.summary, problem.detail, where, problem.todo, problem.command))
        self.broken.add(file)


def _removes_nothing(path: tuple[str | int, ...]) -> Problem:
    detail = f'endpoint.yaml has no "{path[-1]}" here that the stage could remove.'
    todo = "Remove the line, or write a value."
    return Problem(path, "Stage file removes what is not there", detail, todo, at_key=True)

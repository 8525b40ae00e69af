"""Lines and columns of values, found by reading a file again: for errors and for `show` only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import Location
from mlops.loader.text import TextProblem, decode, read_bounded
from mlops.schemas.problems import DocumentPath

if TYPE_CHECKING:
    from mlops.loader.yaml import Mark


@dataclass
class Positions:
    """Finds where values are in the documents of a repository; meets `mlops.resolve.repository.Locator`.

    Attributes:
        root: The repository's root.
    """

    root: Path
    _marks: dict[str, Mapping[DocumentPath, Mark]] = field(default_factory=dict)

    def __call__(self, files: tuple[str, ...], path: DocumentPath, *, at_key: bool = False) -> Location:
        """Where the first of these files that holds the value holds it; otherwise the nearest mapping around it."""
        best_file, best_depth = files[0], -1
        for file in files:
            depth = self._depth(file, path)
            if depth > best_depth:
                best_file, best_depth = file, depth
        mark = self.marks(best_file).get(path[: max(best_depth, 0)])
        if mark is None or not path:
            return Location(best_file)
        if best_depth == 0:
            return Location(best_file, 1, 1)
        if at_key or best_depth < len(path):
            return Location(best_file, mark.key_line, mark.key_column)
        return Location(best_file, mark.line, mark.column)

    def marks(self, file: str) -> Mapping[DocumentPath, Mark]:
        """Where every value of a file is; empty where it cannot be read."""
        if file not in self._marks:
            self._marks[file] = self._read(file)
        return self._marks[file]

    def _depth(self, file: str, path: DocumentPath) -> int:
        """How much of a path a file holds."""
        marks = self.marks(file)
        return next((end for end in range(len(path), -1, -1) if path[:end] in marks), -1)

    def _read(self, file: str) -> Mapping[DocumentPath, Mark]:
        from mlops.loader.yaml import parse  # noqa: PLC0415 - only for errors and show

        outcome = read_bounded(self.root / file)
        if isinstance(outcome, TextProblem):
            return {}
        text = decode(outcome[0])
        return {} if isinstance(text, TextProblem) else parse(text, marks=True).marks

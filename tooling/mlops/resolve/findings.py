"""Problems collected with the files that they are in, and turned into diagnostics once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from mlops.errors import Diagnostic, Location
from mlops.resolve.repository import Locator
from mlops.schemas.problems import Problem

Files: TypeAlias = "tuple[str, ...]"
"""The files in which a value may stand, the strongest first."""


@dataclass(slots=True)
class Findings:
    """Problems, a list that only grows.

    Attributes:
        found: Problems with the files that may hold their value.
        ready: Problems that already have their place.
    """

    found: list[tuple[Files, Problem]] = field(default_factory=list)
    ready: list[Diagnostic] = field(default_factory=list)

    def add(self, files: Files, problem: Problem) -> None:
        """Remember a problem."""
        self.found.append((files, problem))

    def __len__(self) -> int:
        """How many problems there are."""
        return len(self.found) + len(self.ready)

    def diagnostics(self, locate: Locator) -> tuple[Diagnostic, ...]:
        """All problems with their lines, in the order of files and lines, each once."""
        return in_order((*self.ready, *self._located(locate)))

    def _located(self, locate: Locator) -> Iterator[Diagnostic]:
        for files, problem in self.found:
            where = locate(files, problem.path, at_key=problem.at_key)
            yield Diagnostic(problem.summary, problem.detail, where, problem.todo, problem.command)


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort diagnostics by place and drop those that say the same of the same place."""
    unique = dict.fromkeys(diagnostics)
    return tuple(sorted(unique, key=lambda d: (d.where or Location(""), d.summary, d.detail)))

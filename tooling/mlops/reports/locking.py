"""What locking an environment changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mlops.reports.escape import plain
from mlops.reports.values import plural


class Locked(Protocol):
    """A lock that was made, as this report needs it."""

    @property
    def reference(self) -> str:
        """`name:version`."""

    @property
    def path(self) -> str:
        """The lock file."""

    @property
    def packages(self) -> Sequence[str]:
        """What it pins."""

    @property
    def added(self) -> Sequence[str]:
        """What it pins since now."""

    @property
    def removed(self) -> Sequence[str]:
        """What it pinned before."""

    @property
    def changed(self) -> bool:
        """Whether it was written."""


def render_locking(done: Locked) -> str:
    """How many packages, and which of them are new or gone."""
    count = plural(len(done.packages), "package")
    if not done.changed:
        return f"The lock of {plain(done.reference)} is up to date: {count}.\n"
    lines = [f"Locked {plain(done.reference)}: {count}."]
    lines += [f"  + {plain(name)}" for name in done.added]
    lines += [f"  - {plain(name)}" for name in done.removed]
    return "\n".join(lines) + "\n"

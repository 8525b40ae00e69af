"""What a rollback goes back to, and how Git is made to say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from mlops.reports.document import document
from mlops.reports.escape import plain
from mlops.reports.values import short
from mlops.resource import JSON, Address


class Origin(Protocol):
    """What a goal was applied from."""

    @property
    def commit(self) -> str | None:
        """The commit that was checked out."""

    @property
    def dirty(self) -> bool:
        """Whether files differed from it."""


class GoingBack(Protocol):
    """A rollback, as this report needs it."""

    @property
    def address(self) -> Address:
        """Which endpoint."""

    @property
    def bad(self) -> str:
        """Goal digest that is left."""

    @property
    def good(self) -> str:
        """Goal digest that is gone back to."""

    @property
    def revision(self) -> Origin | None:
        """What the good goal was applied from."""

    @property
    def patch(self) -> str:
        """The change in Git; may be empty."""


def explain_rollback(stage: str, found: GoingBack) -> str:
    """From what, to what, and what to do with the patch."""
    revision = found.revision
    commit = f", applied from {short(revision.commit)}" if revision is not None and revision.commit else ""
    text = (
        f"{plain(str(found.address))} in {plain(stage)}: from {short(found.bad)} back to {short(found.good)}{commit}.\n"
    )
    if found.patch:
        return f"{text}The patch below makes Git declare it so again: pipe it into `git apply`, commit, and apply.\n"
    if revision is not None and revision.dirty:
        return f"{text}It was applied from files that were never committed, so Git cannot tell how they were.\n"
    return f"{text}Its files declare it so already.\n"


def render_rollback_json(stage: str, found: GoingBack) -> str:
    """Both goals, the revision and the patch."""
    revision: Mapping[str, JSON] | None = None
    if found.revision is not None:
        revision = {"commit": found.revision.commit, "dirty": found.revision.dirty}
    body: dict[str, JSON] = {
        "stage": stage,
        "address": str(found.address),
        "bad": found.bad,
        "good": found.good,
        "revision": revision,
        "patch": found.patch,
    }
    return document("rollback", body)

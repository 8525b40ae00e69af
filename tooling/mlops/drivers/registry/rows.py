"""One registered version, as the index and the journal hold it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlops.resource import JSON, Resource, Spec, Stamp, canonical, digest

MUTABLE = frozenset({"tags", "description"})
"""What of a version may change; everything else is its content."""


@dataclass(frozen=True, slots=True)
class Row:
    """A version.

    Attributes:
        address: `model/fraud:4`.
        content: Digest of the spec without what may change: the identity of the version.
        spec: Canonical JSON of the spec.
        stamp: Proof of ownership, or None where something else than an apply put it here.
        created: When it was registered first, UTC, ISO 8601 with milliseconds.
    """

    address: str
    content: str
    spec: str
    stamp: Stamp | None
    created: str

    @classmethod
    def of(cls, resource: Resource, stamp: Stamp | None, created: str) -> Row:
        """The row that a resource becomes."""
        return cls(
            str(resource.address), content_digest(resource.spec), canonical(resource.spec).decode(), stamp, created
        )

    @property
    def parsed(self) -> dict[str, JSON]:
        """The spec as JSON.

        Raises:
            ValueError: It was damaged.
        """
        value = json.loads(self.spec)
        if not isinstance(value, dict):
            raise ValueError("not an object")  # noqa: TRY004 - the same fault as text that is no JSON
        return value


def content_digest(spec: Spec) -> str:
    """Digest of what of a version may never change."""
    return digest({key: value for key, value in spec.items() if key not in MUTABLE})


def contents(spec: Spec) -> Iterator[tuple[str, str]]:
    """What a version consists of, as (what, digest): a model's files, an environment's lock and Conda file."""
    files = spec.get("files")
    if isinstance(files, Mapping):
        for name, sha256 in files.items():
            yield name, str(sha256)
    lock = spec.get("lock")
    if isinstance(lock, str):
        yield "lock", lock
    conda = spec.get("conda")
    if isinstance(conda, Mapping) and isinstance(conda.get("sha256"), str):
        yield "conda file", str(conda["sha256"])

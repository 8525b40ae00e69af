"""Models and environments in the embedded registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast
from urllib.parse import unquote

from mlops.driver import Scope
from mlops.drivers.registry.blobs import FileBlobs
from mlops.drivers.registry.failures import (
    absent_artifact,
    immutable,
    number_taken,
    of_another_project,
    spec_damaged,
)
from mlops.drivers.registry.index import Index
from mlops.drivers.registry.rows import Row, contents
from mlops.drivers.registry.transaction import Record, Transaction, to_stamp
from mlops.resource import (
    JSON,
    Address,
    Artifact,
    FieldEffect,
    FieldRule,
    Health,
    HealthState,
    Kind,
    Observed,
    Resource,
    Spec,
    Stamp,
    TrafficSupport,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

DEFAULT_PATH = ".mlops/registry"
_HEALTHY = Health()
_KINDS = {kind.value: kind for kind in Kind}
_BYTES = "the bytes of a version never change; register a new version"
_ORIGIN = "where a version came from is a fact about it; register a new version"
_LOCKED = "an environment's versions never change; declare a new version"


class _OnUse:
    """The options' schema, loaded when it is asked for: reading the registry does not need pydantic."""

    def __get__(self, instance: object, owner: type | None = None) -> type[BaseModel]:
        from mlops.drivers.registry.options import RegistryOptions  # noqa: PLC0415 - see above

        return RegistryOptions


class RegistryDriver:
    """Versions in a SQLite index, their content in files named by digest."""

    if TYPE_CHECKING:
        Spec: ClassVar[type[BaseModel]]
    else:
        Spec = _OnUse()

    rules: ClassVar[tuple[FieldRule, ...]] = (
        FieldRule("*", FieldEffect.IMMUTABLE, "a version never changes; register a new version"),
        *(FieldRule(path, FieldEffect.IMMUTABLE, _BYTES) for path in ("type", "files", "sha256", "flavors")),
        *(FieldRule(path, FieldEffect.IMMUTABLE, _ORIGIN) for path in ("metrics", "trained_by", "properties")),
        *(
            FieldRule(path, FieldEffect.IMMUTABLE, _LOCKED)
            for path in ("lock", "python", "platforms", "image", "conda", "requirements", "environment_variables")
        ),
        FieldRule("tags", FieldEffect.IN_PLACE, "tags say what is thought of a version, not what it is"),
        FieldRule("description", FieldEffect.IN_PLACE, "a description says what is thought of a version"),
    )
    traffic: ClassVar[TrafficSupport] = TrafficSupport.NONE
    is_local: ClassVar[bool] = True
    refused: ClassVar[Mapping[str, str]] = {}

    def __init__(self, scope: Scope) -> None:
        """Open nothing yet.

        Args:
            scope: The project, and the root that the registry's folder is relative to.
        """
        self._scope = scope
        self.root = scope.root / str(scope.options.get("path", DEFAULT_PATH))
        self.index = Index(self.root)
        self.blobs = FileBlobs(self.root)

    def observe(self, only: frozenset[Address] | None = None) -> Iterable[Observed]:
        """Every version, by one query and one listing of the content's folders; see `mlops.driver.Driver`.

        A version whose content is missing is Unhealthy. That its bytes are good is checked where they are used, and by
        `mlops model verify`.

        Raises:
            TargetError: The index cannot be read.
        """
        records = self.index.records(None if only is None else sorted(map(str, only)))
        if not records:
            return []
        has = self.blobs.present().__contains__ if only is None else self.blobs.has
        specs = _parse(records)
        return [
            Observed(_address(record[0]), spec, self._own(record), {"registered": record[3]}, _health(spec, has))
            for record, spec in zip(records, specs, strict=True)
        ]

    def put(self, resource: Resource, stamp: Stamp) -> Mapping[str, str]:
        """Register a version, or change its tags and description; see `mlops.driver.Driver.put`.

        Raises:
            TargetError: Its number stands for other content, its content cannot be had, or it is another project's.
        """
        return self.put_many([(resource, stamp)])[0]

    def put_many(self, items: Iterable[tuple[Resource, Stamp | None]]) -> list[Mapping[str, str]]:
        """Register several versions in one transaction: all of them or none.

        A stamp of None is for who registers without an apply, such as a training job: the version is then visible and
        nobody's, until `mlops model adopt` declares it in Git.

        Raises:
            TargetError: As `put`.
        """
        now = utc_now()
        pairs = list(items)
        rows = [Row.of(_ours(resource), stamp, now) for resource, stamp in pairs]
        self.blobs.add_many(source for resource, _ in pairs for source in self.missing(resource))
        with self.index.write() as transaction:
            return [{"registered": self._admit(transaction, row).created} for row in rows]

    def delete(self, address: Address) -> None:
        """Take a version away and remember its number; its content stays. See `mlops.driver.Driver.delete`.

        Raises:
            TargetError: It is another project's, or the index cannot be written.
        """
        with self.index.write() as transaction:
            row = transaction.get(str(address))
            if row is None:
                return
            self._refuse_foreign(row)
            transaction.retire(row.address, row.content)

    def taken(self, kind: Kind, name: str) -> frozenset[str]:
        """The versions of a name that are, or ever were, registered.

        Raises:
            TargetError: The index cannot be read.
        """
        prefix = f"{kind.value}/{name}:"
        return frozenset(address.removeprefix(prefix) for address in self.index.taken(prefix))

    def missing(self, resource: Resource) -> Iterator[tuple[Path, str]]:
        """What has to be taken in for a version, from the repository or a `file:` address, as (source, digest).

        Raises:
            TargetError: It is not where it is declared.
        """
        sources = {artifact.sha256: artifact for artifact in resource.artifacts}
        for what, sha256 in contents(resource.spec):
            if self.blobs.has(sha256):
                continue
            source = self._source(sources.get(sha256))
            if source is None:
                raise absent_artifact(str(resource.address), what, sha256)
            yield source, sha256

    def close(self) -> None:
        """Let go of the index's files."""
        self.index.close()

    def _admit(self, transaction: Transaction, row: Row) -> Row:
        """Write a row where it differs from the one that is there, unless a rule forbids it."""
        there = transaction.get(row.address)
        if there is None:
            before = transaction.retired(row.address)
            if before not in {None, row.content}:
                raise number_taken(row.address)
            transaction.put(row, again=before is not None)
            return row
        self._refuse_foreign(there)
        if there.content != row.content:
            raise immutable(row.address)
        new = Row(row.address, row.content, row.spec, row.stamp or there.stamp, there.created)
        if new != there:
            transaction.put(new)
        return new

    def _source(self, artifact: Artifact | None) -> Path | None:
        if artifact is None or not artifact.source:
            return None
        scheme, separator, rest = artifact.source.partition("://")
        if not separator:
            path = self._scope.root / artifact.source
        elif scheme == "file":
            path = Path(unquote(rest.removeprefix("localhost")))
        else:
            return None
        return path if path.exists() else None

    def _own(self, record: Record) -> Stamp | None:
        stamp = to_stamp(record)
        return stamp if stamp and stamp.project == self._scope.project else None

    def _refuse_foreign(self, row: Row) -> None:
        if row.stamp and row.stamp.project != self._scope.project:
            raise of_another_project(row.address, row.stamp.project)


def utc_now() -> str:
    """The time, as ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ours(resource: Resource) -> Resource:
    if resource.address.kind not in {Kind.MODEL, Kind.ENVIRONMENT}:
        raise ValueError(f"A registry holds models and environments, not {resource.address}.")
    return resource


def _parse(records: Sequence[Record]) -> list[dict[str, JSON]]:
    """All specs by one call, which is much quicker than one call each."""
    try:
        return cast("list[dict[str, JSON]]", json.loads(f"[{','.join([record[2] for record in records])}]"))
    except ValueError:
        for record in records:
            try:
                json.loads(record[2])
            except ValueError as error:
                raise spec_damaged(record[0]) from error
        raise


def _address(text: str) -> Address:
    kind, _, name = text.partition("/")
    return Address(_KINDS[kind], name)


def _health(spec: Spec, has: Callable[[str], bool]) -> Health:
    for what, sha256 in contents(spec):
        if not has(sha256):
            return Health(HealthState.UNHEALTHY, f"the content of {what} ({sha256[:12]}…) is not in the registry")
    return _HEALTHY


DRIVER = RegistryDriver

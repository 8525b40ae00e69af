"""`mlops show`: what is declared for one object, as it was written, with the file and line of every value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlops.errors import Diagnostic, InvalidRepository, Location, NotFound, did_you_mean
from mlops.loader.plain import read_plain
from mlops.resolve import Repository, merge_patch
from mlops.resource import JSON, SHARED, Address, Kind
from mlops.schemas.problems import DocumentPath, dotted


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a declaration.

    Attributes:
        path: Dotted path within the declaration.
        value: What was written; lists and empty mappings are values as a whole.
        where: The line that says so.
    """

    path: str
    value: JSON
    where: Location


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is declared for one object.

    Attributes:
        address: The object.
        stage: The stage, or `shared`.
        files: The files that declare it, the strongest first.
        values: Every value, in the order in which it was written.
    """

    address: Address
    stage: str
    files: tuple[str, ...]
    values: tuple[Value, ...]

    def to_json(self) -> dict[str, JSON]:
        """The declaration as a JSON object."""
        values = [{"path": v.path, "value": v.value, "where": str(v.where)} for v in self.values]
        return {"address": str(self.address), "stage": self.stage, "files": list(self.files), "values": values}


def show(repository: Repository, name: str, stage: str | None = None) -> Declaration:
    """What is declared for one object.

    Args:
        repository: What is declared.
        name: An address, or the name of an endpoint with or without its compute.
        stage: The stage of an endpoint; of no account for models and environments.

    Raises:
        NotFound: Nothing is declared under this name in this stage.
        InvalidRepository: A file changed since it was checked and cannot be read any more.
    """
    address = Address.parse(name) if "/" in name else Address(Kind.ENDPOINT, name)
    match address.kind:
        case Kind.MODEL | Kind.ENVIRONMENT:
            return _version(repository, address)
        case _:
            return _endpoint(repository, address, stage)


def _version(repository: Repository, address: Address) -> Declaration:
    declared = repository.models if address.kind is Kind.MODEL else repository.environments
    document = declared.get(address.name)
    if document is None:
        raise _not_found(f"No file declares {address}.", address.name, declared)
    return Declaration(address, SHARED, (document.file,), _values(repository, (document.file,)))


def _endpoint(repository: Repository, address: Address, stage: str | None) -> Declaration:
    name, _, compute = address.name.partition("@")
    endpoint = repository.endpoints.get(name)
    if endpoint is None:
        raise _not_found(f'There is no endpoint "{name}".', name, repository.endpoints)
    if stage is None:
        found = [s for s, document in endpoint.stages.items() if compute in ("", document.data["compute"])]
        stage = found[0] if len(found) == 1 else None
    if stage is None:
        detail = f"{name} is deployed in {', '.join(endpoint.stages) or 'no stage'}."
        raise NotFound(Diagnostic("Which stage", detail, todo="Name it with --stage."))
    document = endpoint.stages.get(stage)
    if document is None:
        raise _not_found(f"{name} is not deployed in the stage {stage}.", stage, endpoint.stages)
    declared = document.data["compute"]
    if compute not in ("", declared):
        raise _not_found(f"In the stage {stage}, {name} is on {declared}.", compute, {declared: None})
    files = (document.file, endpoint.file)
    return Declaration(Address(Kind.ENDPOINT, f"{name}@{declared}"), stage, files, _values(repository, files))


def _not_found(detail: str, name: str, candidates: Mapping[str, object]) -> NotFound:
    guess = did_you_mean(name, list(candidates))
    return NotFound(Diagnostic("Nothing is declared", f"{detail} {guess}".rstrip(), todo="Check name and stage."))


def _values(repository: Repository, files: tuple[str, ...]) -> tuple[Value, ...]:
    merged: JSON = {}
    for file in reversed(files):
        plain = read_plain(repository.root, file)
        if isinstance(plain, Diagnostic):
            raise InvalidRepository(plain)
        merged = merge_patch(merged, plain)
    return tuple(
        Value(dotted(path), value, repository.locate(files, path)) for path, value in _leaves(merged, ()) if path
    )


def _leaves(value: JSON, path: DocumentPath) -> Iterator[tuple[DocumentPath, JSON]]:
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            if (*path, key) != ("$schema",):
                yield from _leaves(below, (*path, key))
    else:
        yield path, value

"""From files to a `Repository`: everything that is wrong is found at once, and what did not change is not read twice.

Loading runs nobody's code and writes one file, its cache. Whoever calls it on a repository that is not theirs makes
sure first that Git tracks nothing under `.mlops/`, or the cache there would be the author's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import Diagnostic, InvalidRepository, did_you_mean
from mlops.loader.cache import Cache
from mlops.loader.computes import check_computes
from mlops.loader.digests import Digests
from mlops.loader.documents import Documents
from mlops.loader.packages import packages_of
from mlops.loader.positions import Positions
from mlops.loader.references import References
from mlops.loader.walk import Entry, Walk, walk
from mlops.resolve import ComputeType
from mlops.resolve.findings import in_order
from mlops.resolve.paths import folder_of, within
from mlops.resolve.repository import PROJECT_FILE, Data, Document, Endpoint, Repository
from mlops.schemas.kinds import DocumentKind
from mlops.schemas.problems import Problem

__all__ = ["Loaded", "load", "read"]

_OTHER_TOOLKIT = "Another version of the toolkit is required"


@dataclass(frozen=True)
class Loaded:
    """A repository as far as it could be read, and all problems of its files."""

    repository: Repository
    problems: tuple[Diagnostic, ...]


def load(root: Path, *, cache: bool = True, compute_types: Mapping[str, ComputeType] | None = None) -> Repository:
    """Read and check everything that a repository declares.

    Args:
        root: The folder of mlops.yaml.
        cache: Whether to use and keep `.mlops/cache/`.
        compute_types: Types of computes, whose options are checked; None checks none.

    Raises:
        InvalidRepository: With every problem of every file.
    """
    loaded = read(root, cache=cache, compute_types=compute_types)
    if loaded.problems:
        raise InvalidRepository(*loaded.problems)
    return loaded.repository


def read(root: Path, *, cache: bool = True, compute_types: Mapping[str, ComputeType] | None = None) -> Loaded:
    """As `load`, but gives the problems beside what could be read."""
    root = root.resolve()
    kept = Cache.open(root, enabled=cache)
    found = walk(root)
    documents = Documents(root, kept)
    project = _project(found, documents)
    if project is not None and compute_types is not None:
        check_computes(documents, project.get("computes", {}), compute_types)
    versions = _versions(found, documents)
    repository = _repository(root, found, documents, Document(PROJECT_FILE, project or {}), versions)
    kept.save()
    located = documents.findings.diagnostics(repository.locate)
    problems = in_order((*found.problems, *documents.ready, *located))
    first = [problem for problem in problems if problem.summary == _OTHER_TOOLKIT]
    return Loaded(repository, tuple(first) or problems)


@dataclass(frozen=True)
class _Versions:
    models: dict[str, Document]
    environments: dict[str, Document]
    tombstones: dict[str, frozenset[str]]


def _project(found: Walk, documents: Documents) -> Data | None:
    entry = next((entry for entry in found.entries if entry.kind is DocumentKind.PROJECT), None)
    return documents.checked(entry) if entry is not None else None


def _versions(found: Walk, documents: Documents) -> _Versions:
    versions = _Versions({}, {}, {})
    for entry in found.entries:
        if entry.kind not in (DocumentKind.MODEL, DocumentKind.ENVIRONMENT, DocumentKind.TOMBSTONES):
            continue
        data = documents.checked(entry)
        if data is None:
            continue
        if entry.kind is DocumentKind.TOMBSTONES:
            versions.tombstones[entry.name] = _deleted(data)
            continue
        documents.refuse((entry.file,), _disagreements(entry, data, {"name": entry.name, "version": entry.stem}))
        target = versions.models if entry.kind is DocumentKind.MODEL else versions.environments
        target[f"{entry.name}:{entry.stem}"] = Document(entry.file, data)
    _forget_contents(found, documents, versions)
    return versions


def _forget_contents(found: Walk, documents: Documents, versions: _Versions) -> None:
    """A YAML file that a document names as content, such as conda.yaml beside it, is no document itself."""
    named = {path for path in map(_named_content, versions.models.values()) if path}
    named |= {path for path in map(_named_content, versions.environments.values()) if path}
    for entry in found.entries:
        if entry.file in named:
            documents.forget(entry.file)
            target = versions.models if entry.kind is DocumentKind.MODEL else versions.environments
            target.pop(f"{entry.name}:{entry.stem}", None)


def _named_content(document: Document) -> str | None:
    named = document.data.get("path", document.data.get("conda_file"))
    if not isinstance(named, str) or not named.endswith(".yaml"):
        return None
    return within(folder_of(document.file), named)


def _deleted(data: Data) -> frozenset[str]:
    return frozenset(item if isinstance(item, str) else item["version"] for item in data["versions"])


def _disagreements(entry: Entry, data: Data, expected: Mapping[str, str]) -> list[Problem]:
    return [
        Problem(
            (key,),
            "File name and content disagree",
            f'{entry.file} says by its place that the {key} is "{value}"; the document says "{data[key]}".',
            f"Remove {key} from the document: the place says it.",
        )
        for key, value in expected.items()
        if key in data and data[key] != value
    ]


def _endpoints(found: Walk, documents: Documents, stages: Mapping[str, Data] | None) -> dict[str, Endpoint]:
    endpoints: dict[str, Endpoint] = {}
    bases = {entry.name: entry for entry in found.entries if entry.kind is DocumentKind.BASE}
    for base in bases.values():
        documents.checked(base)
        endpoints[base.name] = Endpoint(base.name, base.file, {})
    merged: dict[str, dict[str, Document]] = {}
    for entry in found.entries:
        if entry.kind is not DocumentKind.ENDPOINT or entry.name not in bases:
            continue
        if stages is not None and entry.stem not in stages:
            documents.refuse((entry.file,), [_undeclared_stage(entry, stages)])
        data = documents.merged(bases[entry.name], entry)
        if data is not None:
            files = (entry.file, bases[entry.name].file)
            documents.refuse(files, _disagreements(entry, data, {"name": entry.name}))
            merged.setdefault(entry.name, {})[entry.stem] = Document(entry.file, data)
    return {name: Endpoint(name, endpoint.file, merged.get(name, {})) for name, endpoint in endpoints.items()}


def _undeclared_stage(entry: Entry, stages: Mapping[str, Data]) -> Problem:
    guess = did_you_mean(entry.stem, list(stages))
    todo = guess or f"Declare it in mlops.yaml, or move the file. Declared stages: {', '.join(stages)}."
    return Problem((), "Stage is not declared", f'mlops.yaml declares no stage "{entry.stem}".', todo)


def _repository(root: Path, found: Walk, documents: Documents, project: Document, versions: _Versions) -> Repository:
    cache = documents.cache
    endpoints = _endpoints(found, documents, project.data.get("stages"))
    references = References(root, cache, Digests(root, cache))
    locks = {
        key: path
        for key, document in versions.environments.items()
        if (path := document.file.removesuffix(".yaml") + ".lock") in found.locks
    }
    references.of_models(versions.models)
    references.of_environments(versions.environments, locks)
    references.of_endpoints(endpoints)
    packages = {
        key: packages_of(root, cache, key, document, references.content, locks.get(key))
        for key, document in versions.environments.items()
    }
    return Repository(
        root=root,
        project=project,
        models=versions.models,
        environments=versions.environments,
        endpoints=endpoints,
        tombstones=versions.tombstones,
        content=references.content,
        values=references.values,
        packages=packages,
        locate=Positions(root),
        broken=frozenset(documents.broken),
    )

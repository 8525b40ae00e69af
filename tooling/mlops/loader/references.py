"""The files and folders that documents name, digested once each, and the JSON that some of them hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from mlops.loader.cache import Cache
from mlops.loader.digests import Digests
from mlops.loader.text import TextProblem, decode, read_bounded
from mlops.resolve.paths import folder_of, within
from mlops.resolve.repository import Content, DirectoryContent, Document, Endpoint, FileContent, Unusable
from mlops.resource import JSON


@dataclass
class References:
    """Looks at what documents name.

    Attributes:
        root: The repository's root.
        cache: Keeps parsed JSON by digest.
        digests: Gives digests.
        content: What was found, by path relative to the root.
        values: What JSON files hold.
    """

    root: Path
    cache: Cache
    digests: Digests
    content: dict[str, Content] = field(default_factory=dict)
    values: dict[str, JSON | Unusable] = field(default_factory=dict)

    def of_models(self, models: Mapping[str, Document]) -> None:
        """Look at the files of models."""
        for document in models.values():
            if "path" in document.data:
                self._look(document, document.data["path"])

    def of_environments(self, environments: Mapping[str, Document], locks: Mapping[str, str]) -> None:
        """Look at lock files, and at the files that list packages."""
        for key, document in environments.items():
            for name in ("conda_file", "requirements"):
                if isinstance(document.data.get(name), str):
                    self._look(document, document.data[name])
            if key in locks:
                self.content[locks[key]] = self.digests.content(locks[key])

    def of_endpoints(self, endpoints: Mapping[str, Endpoint]) -> None:
        """Look at code, sample requests and expected answers."""
        for endpoint in endpoints.values():
            for document in endpoint.stages.values():
                for code in _code_folders(document):
                    self._look(document, code, archive=True)
                sample = document.data.get("sample_request", {})
                if "request" in sample:
                    self._look(document, sample["request"])
                if isinstance(sample.get("expected"), str):
                    self._look_into(document, sample["expected"])

    def _look(self, document: Document, text: str, *, archive: bool = False) -> str | None:
        path = within(folder_of(document.file), text)
        if path is None:
            return None
        known = self.content.get(path)
        if known is None or (archive and isinstance(known, DirectoryContent) and known.archive is None):
            self.content[path] = self.digests.content(path, archive=archive)
        return path

    def _look_into(self, document: Document, text: str) -> None:
        path = self._look(document, text)
        if path is None or path in self.values:
            return
        content = self.content[path]
        if isinstance(content, FileContent):
            self.values[path] = self._value(path, content.sha256)
        elif isinstance(content, DirectoryContent):
            self.values[path] = Unusable("Not a file", f"{path} is a folder.", "Name a JSON file.")
        else:
            self.values[path] = content

    def _value(self, path: str, sha256: str) -> JSON | Unusable:
        known = self.cache.document(f"json:{sha256}")
        if isinstance(known, list):
            value: JSON = known[0]
            return value
        found = read_json(self.root / path, path)
        if not isinstance(found, Unusable):
            self.cache.keep_document(f"json:{sha256}", [found])
        return found


def _code_folders(document: Document) -> Iterator[str]:
    for deployment in document.data["deployments"].values():
        if "code_configuration" in deployment:
            yield deployment["code_configuration"]["code"]


def read_json(path: Path, shown: str) -> JSON | Unusable:
    """The data of a JSON file, strictly: no NaN, no repeated keys, of bounded size and depth."""
    outcome = read_bounded(path)
    text = outcome if isinstance(outcome, TextProblem) else decode(outcome[0])
    if isinstance(text, TextProblem):
        return Unusable(text.summary, f"{shown}: {text.detail}", text.todo, text.command)
    try:
        value: JSON = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        return Unusable("Not JSON", f"{shown}: {str(error) or 'It is nested too deeply'}.", "Write one JSON value.")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("A key is written twice")
    return found

"""Searching versions by tag, by property, by name and by text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlops.pipeline.registry_versions import Version
from mlops.resource import JSON

_TEXTS = ("type", "description", "tags", "properties", "flavors", "trained_by", "image", "python", "requirements")


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; everything that is given has to hold.

    Attributes:
        name: The whole name of a model or environment.
        tags: Each `key=value`, or `key` for any value.
        properties: As `tags`.
        text: Words that each occur in name, description, tags, properties, type or origin, whatever their case.
    """

    name: str | None = None
    tags: Sequence[str] = ()
    properties: Sequence[str] = ()
    text: str = ""


def matching(versions: Iterable[Version], search: Search) -> tuple[Version, ...]:
    """Those versions that match, in the same order."""
    words = search.text.casefold().split()
    return tuple(version for version in versions if _matches(version, search, words))


def _matches(version: Version, search: Search, words: Sequence[str]) -> bool:
    if search.name is not None and search.name != version.name:
        return False
    if not all(_has(version.tags, wanted) for wanted in search.tags):
        return False
    if not all(_has(version.properties, wanted) for wanted in search.properties):
        return False
    if not words:
        return True
    text = "\n".join(_texts(version)).casefold()
    return all(word in text for word in words)


def _has(pairs: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in pairs and (not equals or str(pairs[key]) == value)


def _texts(version: Version) -> Iterator[str]:
    """What people may remember of a version; no digests, where short words would occur by chance."""
    yield version.reference
    for key in (
        "type",
        "description",
        "tags",
        "properties",
        "flavors",
        "trained_by",
        "image",
        "python",
        "requirements",
    ):
        yield from _words(version.spec.get(key))


def _words(value: JSON) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for key, item in value.items():
                yield key
                yield from _words(item)
        case Sequence():
            for item in value:
                yield from _words(item)
        case _:
            yield "" if value is None else str(value)

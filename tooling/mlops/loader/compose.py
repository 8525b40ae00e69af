"""Events of a YAML parser as plain data, with the place of every value where it is asked for.

Nothing is constructed but text, numbers, booleans, null, lists and mappings with text keys; a tag of any kind is a
problem. Nesting and the expansion of aliases are bounded, so that no small file can take much time or memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from mlops.loader.characters import FORBIDDEN, named, unmask
from mlops.loader.scalars import NotJson, resolve_plain
from mlops.resource import JSON
from mlops.schemas.problems import DocumentPath, dotted

DEPTH_LIMIT = 64
"""Deepest nesting of lists and mappings."""

EXPANSION_LIMIT = 2 << 20
"""Most characters that a document may have once every alias is expanded."""

Event: TypeAlias = Any
"""An event of the C parser or of ruamel's own; neither has types."""


class Mark(NamedTuple):
    """Where a value and its key begin; lines and columns count from 1. A list item is its own key."""

    key_line: int
    key_column: int
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class YamlProblem:
    """What is wrong at one place of a text."""

    line: int
    column: int
    summary: str
    detail: str = ""
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document's data; where there are problems, as much of it as could be read."""

    data: JSON
    problems: tuple[YamlProblem, ...]
    marks: Mapping[DocumentPath, Mark]


class Stop(Exception):
    """What follows cannot be read."""


@dataclass(slots=True)
class Composer:
    """Turns events into data, and remembers what is wrong and, if asked, where everything is."""

    next_event: Callable[[], Event]
    marks: dict[DocumentPath, Mark] | None
    problems: list[YamlProblem] = field(default_factory=list)
    anchors: dict[str, tuple[JSON, int] | None] = field(default_factory=dict)
    weight: int = 0

    def report(self, event: Event, summary: str, detail: str = "", todo: str = "") -> None:
        """Remember a problem at an event's place."""
        mark = event.start_mark
        self.problems.append(YamlProblem(mark.line + 1, mark.column + 1, summary, detail, todo))

    def document(self) -> JSON:
        """The only document of the stream."""
        event = self.next_event()
        if type(event).__name__ == "StreamEndEvent":
            self.report(
                event, "Empty file", "It holds no document.", "Write its keys, {} for none, or remove the file."
            )
            return None
        self._check_directives(event)
        data = self.node(self.next_event(), (), 0)
        self.next_event()
        event = self.next_event()
        if type(event).__name__ != "StreamEndEvent":
            detail = "Another one begins here."
            self.report(event, "Several documents in one file", detail, "Put each into a file of its own.")
        return data

    def _check_directives(self, event: Event) -> None:
        if event.tags or (event.version and tuple(event.version) != (1, 2)):
            self.report(event, "YAML directive", "Files are YAML 1.2.", "Remove the line that begins with %.")

    def node(self, event: Event, path: DocumentPath, depth: int) -> JSON:
        """The value that begins with an event, aliases expanded."""
        kind = type(event).__name__
        if self.marks is not None and path not in self.marks:
            place = (event.start_mark.line + 1, event.start_mark.column + 1)
            self.marks[path] = Mark(*place, *place)
        if kind == "AliasEvent":
            return self._alias(event)
        if event.tag is not None:
            self.report(
                event, "YAML tag", f"The tag {unmask(event.tag)} is refused.", "Remove it: values are plain data."
            )
        before = self.weight
        if event.anchor:
            self.anchors[event.anchor] = None
        value: JSON
        if kind == "ScalarEvent":
            value = self._scalar(event)
        elif depth >= DEPTH_LIMIT:
            self.report(event, "Nested too deeply", f"At most {DEPTH_LIMIT} levels are read.", "Write it flatter.")
            raise Stop
        elif kind == "SequenceStartEvent":
            value = self._sequence(path, depth)
        else:
            value = self._mapping(path, depth)
        if event.anchor:
            self.anchors[event.anchor] = (value, self.weight - before)
        return value

    def _alias(self, event: Event) -> JSON:
        found = self.anchors.get(event.anchor)
        if found is None:
            detail = (
                f"*{event.anchor} stands within what it stands for."
                if event.anchor in self.anchors
                else f"Nothing is anchored as &{event.anchor}."
            )
            self.report(event, "Alias without a meaning", detail, "Write the value out.")
            raise Stop
        self._grow(event, found[1])
        return found[0]

    def _grow(self, event: Event, weight: int) -> None:
        self.weight += weight
        if self.weight > EXPANSION_LIMIT:
            self.report(
                event,
                "Aliases expand too far",
                f"Written out, this file would have more than {EXPANSION_LIMIT:,} characters.",
                "Write the values out, and fewer of them.",
            )
            raise Stop

    def _scalar(self, event: Event) -> JSON:
        text = unmask(event.value)
        self._grow(event, len(text) + 1)
        if event.implicit[0] and not event.style:
            try:
                return resolve_plain(text)
            except NotJson as error:
                self.report(
                    event, "Not a number that JSON has", str(error), "Write another number, or put it in quotes."
                )
                return 0
        if event.style == '"' and (found := FORBIDDEN.search(text)):
            self.report(event, "Control character", f"The text holds {named(found[0])}.", "Remove it.")
        return text

    def _sequence(self, path: DocumentPath, depth: int) -> list[JSON]:
        items: list[JSON] = []
        while type(event := self.next_event()).__name__ != "SequenceEndEvent":
            items.append(self.node(event, (*path, len(items)), depth + 1))
        return items

    def _mapping(self, path: DocumentPath, depth: int) -> dict[str, JSON]:
        items: dict[str, JSON] = {}
        while type(event := self.next_event()).__name__ != "MappingEndEvent":
            key = self._key(event, path, depth)
            value_event = self.next_event()
            below = (*path, key)
            if key in items:
                self.report(event, "Duplicate key", f'"{dotted(below)}" is written twice.', "Remove one.")
            elif self.marks is not None:
                self.marks[below] = Mark(*_place(event), *_place(value_event))
            value = self.node(value_event, below, depth + 1)
            items.setdefault(key, value)
        return items

    def _key(self, event: Event, path: DocumentPath, depth: int) -> str:
        key = self.node(event, (*path, "?"), depth + 1)
        if self.marks is not None:
            self.marks.pop((*path, "?"), None)
        if not isinstance(key, str):
            shown = unmask(event.value) if type(event).__name__ == "ScalarEvent" else "a list or a mapping"
            self.report(event, "Key is not text", f"Keys are text; this one is {shown}.", "Put the key in quotes.")
            return f"{shown}"
        if key == "<<" and not event.style:
            todo = "Write the keys out, or put what is shared into endpoint.yaml."
            self.report(event, "Merge key", "YAML 1.2 has no merge keys.", todo)
        return key


def _place(event: Event) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1

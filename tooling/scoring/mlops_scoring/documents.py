"""Strict reading of JSON documents: every field is known, typed and used, and all problems are told at once.

The package has no dependency, so it cannot use pydantic; this is the small part of it that the configuration needs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping

MISSING = object()
"""Default of a field that has none: the field has to be there."""


class InvalidDocument(ValueError):
    """A document that cannot be used.

    Attributes:
        problems: One sentence for each problem, each beginning with the path of the field.
    """

    def __init__(self, problems: Collection[str]) -> None:
        """Keep the problems in the order given."""
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


def parse_json(data: bytes | str, what: str) -> object:
    """Parse JSON and refuse what a second reader could read differently.

    Args:
        data: The text.
        what: What the text is, for the error message.

    Raises:
        InvalidDocument: Not JSON, not UTF-8, a name twice in one object, or NaN.
    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = sorted({name for name in names if names.count(name) > 1})
            message = f"the name {', '.join(twice)} is there twice"
            raise ValueError(message)
        return found

    def refuse(constant: str) -> object:
        message = f"{constant} is not JSON"
        raise ValueError(message)

    try:
        return json.loads(data, object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidDocument([f"{what}: not valid JSON: {error}"]) from None


class Fields:
    """One JSON object that is being read; remembers what was asked for and what was wrong.

    Args:
        value: The value that should be an object.
        where: Its path, for messages; empty for the document itself.
        problems: Where problems are put. Readers return a harmless value after a problem, so that reading goes on.

    Attributes:
        values: The raw object; empty where the value is none.
    """

    def __init__(self, value: object, where: str, problems: list[str]) -> None:
        """Look at a value; that it is no object is the first problem."""
        self.where = where
        self.problems = problems
        self._asked: set[str] = set()
        self.values: Mapping[str, object] = {}
        if isinstance(value, dict):
            self.values = value
        else:
            self.problem("", "must be an object")

    def path(self, name: str) -> str:
        """The path of a field below this object."""
        return ".".join(part for part in (self.where, name) if part)

    def problem(self, name: str, message: str) -> None:
        """Note a problem of a field."""
        where = self.path(name) or "document"
        # A name is whatever somebody wrote; it must not be able to begin a line of its own.
        self.problems.append(f"{where if where.isprintable() else ascii(where)}: {message}")

    def get(self, name: str, default: object = MISSING) -> object:
        """The raw value of a field; its absence is a problem unless there is a default."""
        self._asked.add(name)
        value = self.values.get(name, default)
        if value is MISSING:
            self.problem(name, "is missing")
            return None
        return value

    def text(self, name: str, default: object = MISSING, *, choices: Collection[str] = ()) -> str:
        """A string that is not empty, one of `choices` where given."""
        value = self.get(name, default)
        if not isinstance(value, str) or not value or "\0" in value:
            if name in self.values:
                self.problem(name, "must be a string that is not empty")
            return ""
        if choices and value not in choices:
            self.problem(name, f"must be one of {', '.join(choices)}; it is {value!r}")
        return value

    def optional_text(self, name: str) -> str | None:
        """A string or null."""
        return None if self.get(name, None) is None else self.text(name)

    def whole(self, name: str, default: object = MISSING, *, least: int = 0, most: int = 2**31) -> int:
        """A whole number from `least` to `most`."""
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            if name in self.values:
                self.problem(name, "must be a whole number")
            return least
        if not least <= value <= most:
            self.problem(name, f"must be from {least} to {most}; it is {value}")
            return least
        return value

    def number(self, name: str, default: object = MISSING, *, least: float = 0) -> float:
        """A finite number of at least `least`."""
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            if name in self.values:
                self.problem(name, "must be a number")
            return least
        if value < least:
            self.problem(name, f"must be at least {least}; it is {value}")
            return least
        return float(value)

    def below(self, name: str, default: object = MISSING) -> Fields:
        """An object, to be read in turn."""
        value = self.get(name, default)
        known = value if value is not None or name in self.values else {}
        return Fields(known, self.path(name), self.problems)

    def mapping(self, name: str, default: object = MISSING) -> Mapping[str, object]:
        """An object whose names are free; its values are the caller's to check."""
        return self.below(name, default).values

    def texts(self, name: str, default: object = MISSING) -> Mapping[str, str]:
        """An object of strings."""
        found: dict[str, str] = {}
        for key, value in self.mapping(name, default).items():
            if isinstance(value, str) and "\0" not in value and "\0" not in key:
                found[key] = value
            else:
                self.problem(f"{name}.{key}", "must be a string")
        return found

    def text_list(self, name: str, default: object = MISSING) -> tuple[str, ...]:
        """A list of strings."""
        value = self.get(name, default)
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            if name in self.values:
                self.problem(name, "must be a list of strings")
            return ()
        return tuple(value)

    def finish(self) -> None:
        """Refuse the fields that nobody asked for."""
        for name in sorted(set(self.values) - self._asked):
            self.problem(name, "is not a field here; a newer version may know it")

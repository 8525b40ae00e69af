"""Reading JSON strictly: every key is asked for once, with its type, and none may be left over."""

from __future__ import annotations

from typing import TypeVar

from mlops.ledger.clock import from_text
from mlops.resource import JSON

Value = TypeVar("Value")


class Malformed(ValueError):
    """A document is not what its format says."""


def read_moment(text: str) -> float:
    """A time, as epoch seconds.

    Raises:
        Malformed: It is none.
    """
    try:
        return from_text(text)
    except ValueError as error:
        raise Malformed(f"{text!r} is not a time") from error


class Fields:
    """The keys of one JSON object, taken one by one.

    Args:
        value: What should be an object.
        where: Its name, for messages.

    Raises:
        Malformed: It is not an object; likewise each method, when a key is missing or of another type.
    """

    def __init__(self, value: object, where: str) -> None:
        """Take every key."""
        if not isinstance(value, dict):
            raise Malformed(f"{where} is not an object")
        self._left: dict[str, object] = dict(value)
        self._where = where

    def take(self, key: str) -> JSON:
        """Any JSON value.

        The value came from a JSON reader, so it is JSON.
        """
        if key not in self._left:
            raise Malformed(f"{self._where} lacks {key!r}")
        value: JSON = self._left.pop(key)  # type: ignore[assignment]
        return value

    def _typed(self, key: str, kind: type[Value]) -> Value:
        value = self.take(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Malformed(f"{key!r} of {self._where} is not of type {kind.__name__}")
        return value

    def text(self, key: str) -> str:
        """A string."""
        return self._typed(key, str)

    def text_or_none(self, key: str) -> str | None:
        """A string or null."""
        value = self.take(key)
        if value is not None and not isinstance(value, str):
            raise Malformed(f"{key!r} of {self._where} is neither text nor null")
        return value

    def integer(self, key: str) -> int:
        """A whole number."""
        return self._typed(key, int)

    def boolean(self, key: str) -> bool:
        """True or false."""
        return self._typed(key, bool)

    def moment(self, key: str) -> float:
        """A time, as epoch seconds."""
        return read_moment(self.text(key))

    def moment_or_none(self, key: str) -> float | None:
        """A time or null."""
        if self._left.get(key, "") is None:
            del self._left[key]
            return None
        return self.moment(key)

    def items(self, key: str) -> list[JSON]:
        """An array."""
        value = self.take(key)
        if not isinstance(value, list):
            raise Malformed(f"{key!r} of {self._where} is not an array")
        return value

    def mapping(self, key: str) -> dict[str, JSON]:
        """An object with any keys."""
        value = self.take(key)
        if not isinstance(value, dict):
            raise Malformed(f"{key!r} of {self._where} is not an object")
        return value

    def texts(self, key: str) -> dict[str, str]:
        """An object whose values are strings."""
        found: dict[str, str] = {}
        for name, value in self.mapping(key).items():
            if not isinstance(value, str):
                raise Malformed(f"{name!r} in {key!r} of {self._where} is not text")
            found[name] = value
        return found

    def fields(self, key: str) -> Fields:
        """An object with known keys."""
        return Fields(self.take(key), key)

    def end(self) -> None:
        """Insist that nothing is left over."""
        if self._left:
            raise Malformed(f"{self._where} has unknown {', '.join(sorted(map(repr, self._left)))}")

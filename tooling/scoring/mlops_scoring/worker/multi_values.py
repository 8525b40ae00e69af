"""Mappings with several values to a name, with the methods of Werkzeug's that entry scripts use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class MultiDict(dict[str, Value], Generic[Value]):
    """A mapping to the first value of each name that also knows the others."""

    def __init__(self, pairs: Iterable[tuple[str, Value]]) -> None:
        """Take pairs in their order."""
        super().__init__()
        self._lists: dict[str, list[Value]] = {}
        for name, value in pairs:
            self.setdefault(name, value)
            self._lists.setdefault(name, []).append(value)

    # The argument is called `type` in Werkzeug; scripts pass it by name.
    def get(self, key: str, default: Any = None, type: Callable[[Any], Any] | None = None) -> Any:  # noqa: A002, ANN401 - as above
        """The first value, converted by `type`; the default where there is none or it cannot be converted."""
        if key not in self:
            return default
        return next(_converted([self[key]], type), default)

    def getlist(self, key: str, type: Callable[[Any], Any] | None = None) -> list[Any]:  # noqa: A002 - as in `get`
        """All values of a name, converted by `type`; those that cannot be converted are left out."""
        return list(_converted(self._lists.get(key, []), type))

    def items(self, multi: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - Werkzeug's own signature
        """Names with their first values, or with each of their values."""
        if not multi:
            return super().items()
        return [(name, value) for name, values in self._lists.items() for value in values]

    def lists(self) -> Iterator[tuple[str, list[Value]]]:
        """Names with all their values."""
        return ((name, list(values)) for name, values in self._lists.items())

    def to_dict(self, flat: bool = True) -> dict[str, Value] | dict[str, list[Value]]:  # noqa: FBT001, FBT002 - Werkzeug's own signature
        """A plain dictionary, of first values or of all."""
        return dict(self) if flat else dict(self.lists())


def _converted(values: Iterable[Any], kind: Callable[[Any], Any] | None) -> Iterator[Any]:
    for value in values:
        if kind is None:
            yield value
            continue
        try:
            yield kind(value)
        except (ValueError, TypeError):
            continue


class Headers:
    """Header names and values; names in any case."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        """Take pairs in their order."""
        self._pairs = list(pairs)

    def get(self, name: str, default: Any = None, type: Callable[[Any], Any] | None = None) -> Any:  # noqa: A002, ANN401 - Werkzeug's own signature
        """The first value, converted by `type`; the default where there is none or it cannot be converted."""
        return next(_converted(self.getlist(name)[:1], type), default)

    def getlist(self, name: str) -> list[str]:
        """All values."""
        return [value for found, value in self._pairs if found.lower() == name.lower()]

    get_all = getlist

    def add(self, name: str, value: object) -> None:
        """Add a value beside those that are there.

        Raises:
            ValueError: It has a line break, with which it could end the headers.
        """
        text = str(value)
        if "\n" in text or "\r" in text:
            raise ValueError("header values must not contain newline characters")
        self._pairs.append((name, text))

    add_header = add

    def extend(self, pairs: Iterable[tuple[str, object]] | dict[str, object]) -> None:
        """Add several values."""
        for name, value in pairs.items() if isinstance(pairs, dict) else pairs:
            self.add(name, value)

    def remove(self, name: str) -> None:
        """Remove all values of a name."""
        self._pairs = [pair for pair in self._pairs if pair[0].lower() != name.lower()]

    def items(self) -> list[tuple[str, str]]:
        """All pairs, in order."""
        return list(self._pairs)

    def keys(self) -> list[str]:
        """All names, in order."""
        return [name for name, _ in self._pairs]

    def values(self) -> list[str]:
        """All values, in order."""
        return [value for _, value in self._pairs]

    def __getitem__(self, name: str) -> str:
        """The first value.

        Raises:
            KeyError: There is none.
        """
        values = self.getlist(name)
        if not values:
            raise KeyError(name)
        return values[0]

    def __setitem__(self, name: str, value: object) -> None:
        """Replace all values of a name."""
        self.remove(name)
        self.add(name, value)

    set = __setitem__
    __delitem__ = remove

    def __contains__(self, name: object) -> bool:
        """Whether there is a value."""
        return isinstance(name, str) and bool(self.getlist(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """All pairs, so that `dict(headers)` works as it does with Werkzeug's."""
        return iter(self._pairs)

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self._pairs)


def joined(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Headers as WSGI servers hand them on: names as `X-Ms-Request-Id`, the values of one name joined by commas."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found[name] = found[name] + b"," + value if name in found else value
    return [(_title(name.decode("latin-1")), value.decode("latin-1")) for name, value in found.items()]


def _title(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))

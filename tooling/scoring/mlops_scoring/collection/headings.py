"""Lists of names, and which axis of nested lists stands under one.

`{"columns": ["age", "ssn"], "values": [[3, "x"]]}` has a name for each place of a row; other objects may have one for
each column, and call both otherwise. Names may be texts, or objects with a `name`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

HOLDING = ("data", "value", "values")
"""Fields with what an object's `name` is the name of."""


def names_in(value: object) -> tuple[str, ...]:
    """The names that a list consists of; none where it is something else."""
    if not isinstance(value, list) or not value:
        return ()
    names = [_name_of(item) if isinstance(item, dict) else item for item in value]
    found = tuple(name for name in names if isinstance(name, str))
    return found if len(found) == len(names) else ()


def _name_of(column: Mapping[str, object]) -> object:
    """The name of an object that describes a column; None of one that holds values."""
    if any(kind in column for kind in HOLDING) or any(isinstance(item, list) for item in column.values()):
        return None
    return column.get("name")


def is_heading(value: object, ends: Collection[str]) -> bool:
    """Whether a list of names holds one that ends in one of these."""
    return any(name.rpartition(".")[2] in ends for name in names_in(value))


def headings(value: Mapping[str, object], ends: Collection[str], deep: int = 2) -> Iterator[tuple[str, ...]]:
    """The lists of names in an object, and in objects in it that hold no rows themselves.

    Args:
        value: The object.
        ends: Last parts of the names that one of them has to hold.
        deep: How many objects lie between at most.
    """
    for item in value.values():
        if isinstance(item, list) and is_heading(item, ends):
            yield names_in(item)
        elif deep and isinstance(item, dict) and not any(map(is_nested, item.values())):
            yield from headings(item, ends, deep - 1)


def headings_within(table: Sequence[object], ends: Collection[str]) -> Iterator[tuple[str, ...]]:
    """The first row of a table, and its first column, where they are names."""
    if not table or not isinstance(table[0], list):
        return
    first = [row[0] for row in table if isinstance(row, list) and row]
    for names in (table[0], first if len(first) == len(table) else None):
        if is_heading(names, ends):
            yield names_in(names)


def is_nested(value: object) -> bool:
    """Whether it is a list with lists in it."""
    return isinstance(value, list) and any(isinstance(item, list) for item in value)


def holds_values(names: Sequence[object]) -> bool:
    """Whether what should be names are none, but lists or objects."""
    return any(isinstance(name, list | dict) for name in names)


def axes(value: Sequence[object], width: int) -> dict[int, bool]:
    """The depths at which lists are as long as there are names, and whether all of that depth are."""
    found: dict[int, bool] = {}
    level, depth = [value], 0
    while level:
        fits = [len(one) == width for one in level]
        if any(fits):
            found[depth] = all(fits)
        level = [item for one in level for item in one if isinstance(item, list)]
        depth += 1
    return found

"""The three-sided comparison of what is declared, what was applied last, and what is live.

Only wanted fields are compared, so the defaults of a target are no differences; a field that was applied and is not
declared any more is found through the last applied spec. Lists are compared whole. Every difference that is suppressed
is still yielded, with the rule that suppresses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mlops.resource import (
    JSON,
    SEVERITY,
    UNSET,
    FieldChange,
    FieldEffect,
    FieldRule,
    Spec,
    Unset,
)
from mlops.rules import rule_for, same

EDITED = "edited in Git"
REMOVED = "removed in Git"
DRIFTED = "changed outside of Git"
BOTH = "edited in Git, and changed outside of it"
UNKNOWN = "differs from what is live"


def dotted(path: Sequence[str]) -> str:
    """Write a path for people: names joined by dots, a name that holds a dot in brackets."""
    parts = [f'["{name}"]' if "." in name or "[" in name or not name else f".{name}" for name in path]
    return "".join(parts).removeprefix(".")


def _reason(declared: JSON | Unset, applied: JSON | Unset, live: JSON | Unset, *, known: bool) -> str:
    if not known:
        return UNKNOWN
    if declared is UNSET:
        return REMOVED
    if same(applied, live):
        return EDITED
    return DRIFTED if same(declared, applied) else BOTH


def _get(side: JSON | Unset, name: str) -> JSON | Unset:
    return side.get(name, UNSET) if isinstance(side, Mapping) else UNSET


def _sides(
    path: tuple[str, ...], declared: JSON | Unset, applied: JSON | Unset, live: JSON | Unset
) -> Iterator[tuple[tuple[str, ...], JSON | Unset, JSON | Unset, JSON | Unset]]:
    if isinstance(declared, Mapping) and isinstance(live, Mapping):
        names = dict.fromkeys([*declared, *(applied if isinstance(applied, Mapping) else ())])
        for name in names:
            yield from _sides((*path, name), _get(declared, name), _get(applied, name), _get(live, name))
    elif declared is UNSET:
        if applied is not UNSET and live is not UNSET:
            yield path, declared, applied, live
    elif not same(declared, live):
        yield path, declared, applied, live


def _worst(path: tuple[str, ...], value: JSON | Unset, declared: Spec, rules: Sequence[FieldRule]) -> FieldRule | None:
    """The rule that decides about a whole group: the most severe one of what is in it."""
    if not isinstance(value, Mapping) or not value:
        return rule_for(path, declared, rules)
    found = [_worst((*path, name), inner, declared, rules) for name, inner in value.items()]
    return max(found, key=lambda rule: SEVERITY[rule.effect if rule is not None else FieldEffect.IN_PLACE])


def diff(declared: Spec, applied: Spec | None, live: Spec, rules: Sequence[FieldRule] = ()) -> Iterator[FieldChange]:
    """Yield every wanted field that is not live as wanted.

    Args:
        declared: The spec in Git.
        applied: The spec behind the live object's stamp; None where it is not known.
        live: The spec of the live object.
        rules: The driver's field rules.

    Yields:
        One change a field, in the order of the declared spec; removed fields follow within their parent.
    """
    known = applied is not None
    for path, wanted, before, now in _sides((), declared, applied if applied is not None else UNSET, live):
        rule = _worst(path, before if wanted is UNSET else wanted, declared, rules)
        reason = _reason(wanted, before, now, known=known)
        effect = FieldEffect.IN_PLACE
        if rule is not None:
            effect = rule.effect
            reason = f"{reason}; {rule.reason}" if rule.reason else reason
        yield FieldChange(dotted(path), wanted, before, now, effect, reason)


def severity(changes: Sequence[FieldChange]) -> FieldEffect:
    """The worst effect among differences; IGNORED where there is none."""
    return max((c.effect for c in changes), key=SEVERITY.__getitem__, default=FieldEffect.IGNORED)

"""The three-sided comparison of what is declared, what was applied last, and what is live.

Only wanted fields are compared, so the defaults of a target are no differences; a field that was applied and is not
declared any more is found through the last applied spec. Where a rule knows the default, saying it
is as good as not saying it, and what is live without anybody's word is found too. Lists are compared whole. Every
difference that is suppressed is still yielded, with the rule that suppresses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

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
from mlops.rules import default_of, rule_for, same

EDITED = "edited in Git"
REMOVED = "removed in Git"
DRIFTED = "changed outside of Git"
BOTH = "edited in Git, and changed outside of it"
UNKNOWN = "differs from what is live"


def dotted(path: Sequence[str]) -> str:
    """Write a path for people: names joined by dots, a name that holds a dot in brackets."""
    parts = [f'["{name}"]' if "." in name or "[" in name or not name else f".{name}" for name in path]
    return "".join(parts).removeprefix(".")


@dataclass(frozen=True, slots=True)
class _Sides:
    """What one path has on each side, and what counts where it has nothing."""

    path: tuple[str, ...]
    declared: JSON | Unset
    applied: JSON | Unset
    live: JSON | Unset
    default: JSON | Unset = UNSET

    @property
    def wanted(self) -> JSON | Unset:
        return self.default if self.declared is UNSET else self.declared

    @property
    def before(self) -> JSON | Unset:
        return self.default if self.applied is UNSET else self.applied

    @property
    def actual(self) -> JSON | Unset:
        return self.default if self.live is UNSET else self.live


def _reason(sides: _Sides, *, known: bool) -> str:
    if not known:
        return UNKNOWN
    if sides.declared is UNSET and not same(sides.wanted, sides.before):
        return REMOVED
    if same(sides.before, sides.actual):
        return EDITED
    return DRIFTED if same(sides.wanted, sides.before) else BOTH


def _get(side: JSON | Unset, name: str) -> JSON | Unset:
    return side.get(name, UNSET) if isinstance(side, Mapping) else UNSET


def _names(side: JSON | Unset) -> Iterable[str]:
    return side if isinstance(side, Mapping) else ()


class _Comparison:
    """Which paths differ, by the rules that hold for a declared spec."""

    def __init__(self, declared: Spec, rules: Sequence[FieldRule]) -> None:
        self._declared = declared
        self._rules = rules

    def differing(self, sides: _Sides, *, told: bool = False) -> Iterator[_Sides]:
        """Every path from here on at which what is live is not what is wanted.

        Args:
            sides: Where to begin.
            told: The target tells of all that it does here, so what nobody wants is not its default.
        """
        told = told or sides.default is not UNSET
        if isinstance(sides.wanted, Mapping) and isinstance(sides.actual, Mapping):
            within = self._within(sides, told=told)
            if sides.declared is not UNSET and sides.live is not UNSET:
                yield from within
            elif any(True for _ in within):
                yield sides
        elif sides.declared is UNSET and sides.applied is UNSET and not told:
            return
        elif not same(sides.wanted, sides.actual):
            yield sides

    def _within(self, group: _Sides, *, told: bool) -> Iterator[_Sides]:
        for name in dict.fromkeys([*_names(group.wanted), *_names(group.applied), *_names(group.actual)]):
            path = (*group.path, name)
            declared, applied, live = (_get(side, name) for side in (group.wanted, group.applied, group.actual))
            default = default_of(path, self._declared, self._rules)
            yield from self.differing(_Sides(path, declared, applied, live, default), told=told)


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
    whole = _Sides((), declared, applied if applied is not None else UNSET, live)
    for sides in _Comparison(declared, rules).differing(whole):
        present = (side for side in (sides.declared, sides.applied, sides.live) if side is not UNSET)
        rule = _worst(sides.path, next(present, UNSET), declared, rules)
        reason = _reason(sides, known=known)
        effect = FieldEffect.IN_PLACE
        if rule is not None:
            effect = rule.effect
            reason = f"{reason}; {rule.reason}" if rule.reason else reason
        yield FieldChange(dotted(sides.path), sides.declared, sides.applied, sides.live, effect, reason)


def severity(changes: Sequence[FieldChange]) -> FieldEffect:
    """The worst effect among differences; IGNORED where there is none."""
    return max((c.effect for c in changes), key=SEVERITY.__getitem__, default=FieldEffect.IGNORED)

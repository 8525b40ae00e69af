"""Field rules as data: which one holds for a field, and when two values are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mlops.resource import JSON, UNSET, FieldEffect, FieldRule, Spec, Unset


def same(left: JSON | Unset, right: JSON | Unset) -> bool:
    """JSON equality: unlike Python's, true is not 1."""
    match left, right:
        case bool(), _:
            return left is right
        case _, bool():
            return False
        case Mapping(), Mapping():
            return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
        case (str(), _) | (_, str()):
            return left is right if isinstance(left, Unset) or isinstance(right, Unset) else left == right
        case Sequence(), Sequence():
            return len(left) == len(right) and all(map(same, left, right))
        case _:
            return left == right


def _segments(rule_path: str) -> list[str]:
    return rule_path.split(".")


def _matches(pattern: Sequence[str], path: Sequence[str]) -> bool:
    return len(pattern) <= len(path) and all(p in ("*", name) for p, name in zip(pattern, path, strict=False))


def _lookup(spec: JSON | Unset, pattern: Sequence[str], captured: Iterator[str]) -> JSON | Unset:
    value: JSON | Unset = spec
    for name in pattern:
        key = next(captured, "*") if name == "*" else name
        value = value[key] if isinstance(value, Mapping) and key in value else UNSET
    return value


def _holds(rule: FieldRule, path: Sequence[str], declared: Spec) -> bool:
    if rule.when is None:
        return True
    where, wanted = rule.when
    pattern = _segments(rule.path)
    captured = (name for part, name in zip(pattern, path, strict=False) if part == "*")
    return same(_lookup(declared, _segments(where), captured), wanted)


def rule_for(path: Sequence[str], declared: Spec, rules: Sequence[FieldRule]) -> FieldRule | None:
    """The most specific rule that holds for a path: the longest, and of equals the last."""
    holding = [r for r in rules if _matches(_segments(r.path), path) and _holds(r, path, declared)]
    return max(enumerate(holding), key=lambda item: (len(_segments(item[1].path)), item[0]))[1] if holding else None


def default_of(path: Sequence[str], declared: Spec, rules: Sequence[FieldRule]) -> JSON | Unset:
    """What a target does where nothing is said at a path; UNSET where no rule for just this path says it."""
    rule = rule_for(path, declared, rules)
    return rule.default if rule is not None and len(_segments(rule.path)) == len(path) else UNSET


def _get(side: JSON | Unset, name: str) -> JSON | Unset:
    return side.get(name, UNSET) if isinstance(side, Mapping) else UNSET


def _without(value: JSON, path: tuple[str, ...], declared: Spec, rules: Sequence[FieldRule]) -> JSON:
    if not isinstance(value, Mapping):
        return value
    kept: dict[str, JSON] = {}
    for name, inner in value.items():
        rule = rule_for((*path, name), declared, rules)
        if rule is not None and rule.effect is FieldEffect.IGNORED:
            continue
        kept[name] = _without(inner, (*path, name), declared, rules)
    return kept


def owned(live: Spec, declared: Spec, rules: Sequence[FieldRule]) -> Spec:
    """The live fields that are ours to set: without those that a rule gives to somebody else, such as an autoscaler."""
    if not any(rule.effect is FieldEffect.IGNORED for rule in rules):
        return live
    kept = _without(live, (), declared, rules)
    return kept if isinstance(kept, Mapping) else live


def _carried(value: JSON, live: JSON | Unset, path: tuple[str, ...], wanted: tuple[Spec, Sequence[FieldRule]]) -> JSON:
    if not isinstance(value, Mapping):
        return value
    kept: dict[str, JSON] = {}
    for name, inner in value.items():
        now = _get(live, name)
        rule = rule_for((*path, name), *wanted)
        if rule is not None and rule.effect is FieldEffect.IGNORED and now is not UNSET:
            kept[name] = now if not isinstance(now, Unset) else None
        else:
            kept[name] = _carried(inner, now, (*path, name), wanted)
    return kept


def carry_over(spec: Spec, live: Spec, rules: Sequence[FieldRule]) -> Spec:
    """The spec to put: fields that belong to somebody else keep their live value."""
    if not any(rule.effect is FieldEffect.IGNORED for rule in rules):
        return spec
    carried = _carried(spec, live, (), (spec, rules))
    return carried if isinstance(carried, Mapping) else spec

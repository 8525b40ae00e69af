"""What a change means, in the words of somebody who asked for it: `digits 1 → 2, canary 10 % → 50 % → 100 %`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from mlops.plan.change import Action, Change
from mlops.reports.values import duration_text, name_text, plural, short
from mlops.resource import JSON, UNSET, FieldChange, FieldEffect, Kind, Spec
from mlops.rollout import Step

_BRIEF = 24
"""Characters of a value that is told in the headline."""

_REMOVED = "removed"

_SOME = 3
"""Fields that are named in the headline; more are counted."""


def _mapping(value: object) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}


def reference(deployment: JSON, key: str = "model") -> str:
    """`name:version` of what a deployment refers to; empty where it refers to nothing."""
    found = _mapping(_mapping(deployment).get(key))
    return f"{name_text(found['name'])}:{name_text(found['version'])}" if {"name", "version"} <= set(found) else ""


def soak_text(step: Step) -> str:
    """What a step's title is followed by, where it soaks or has soaked."""
    if not step.soak:
        return ""
    return f", {'which has soaked' if step.soaked else 'soaking'} {duration_text(step.soak)}"


def _shift(change: Change) -> str:
    """How the new version gets its traffic; empty where nothing is shifted."""
    weights = [step for step in change.steps if step.weight]
    if not weights or change.desired is None:
        return ""
    shares = " → ".join(f"{step.weight} %" for step in weights)
    soak = max(step.soak for step in weights)
    kept = f", {duration_text(soak)} each" if soak else ""
    match change.desired.rollout.strategy:
        case "canary":
            return f"canary {shares}{kept}"
        case "blue_green":
            return f"blue/green, switched at once{f' and watched for {duration_text(soak)}' if soak else ''}"
        case _:
            return shares


def _sides(field: FieldChange) -> str:
    before = name_text(field.live) if field.live is not UNSET else "none"
    after = name_text(field.declared) if field.declared is not UNSET else "none"
    return f"{before} → {after}"


def _split(path: str) -> tuple[str, str] | None:
    """Deployment and the path within it; Azure ML's deployment names hold no dot."""
    head, _, rest = path.partition(".")
    name, _, inner = rest.partition(".")
    return (name, inner) if head == "deployments" and name else None


def _subject(inner: str, field: FieldChange, deployment: JSON, *, renamed: bool) -> str | None:
    """The headline's words for a field of a deployment, empty where it needs none; None: it is named by its path."""
    match inner.split("."):
        case ["model" | "environment" as key, "version"] if not renamed:
            name = name_text(_mapping(_mapping(deployment).get(key)).get("name"))
            return f"{name} {_sides(field)}" if key == "model" else f"environment {name} {_sides(field)}"
        case ["model" | "environment" as key, "name"]:
            before = name_text(field.live) if field.live is not UNSET else "none"
            return f"{key} {before} → {reference(deployment, key)}"
        case ["code", *_]:
            return "new code"
        case ["instance_count"]:
            return f"instances {_sides(field)}"
        case ["model" | "environment" | "pickles", *_]:
            return ""
        case _:
            return None


def _other(field: FieldChange) -> str:
    """A field without words of its own: its path, and its sides where they are short."""
    sides = (field.live, field.declared)
    brief = all(
        isinstance(side, bool | int | float) or (isinstance(side, str) and len(side) <= _BRIEF) for side in sides
    )
    return f"{field.path} {_sides(field)}" if brief else field.path


@dataclass
class _Headline:
    """What is said of each deployment, and what is left over; `paths` are those of all fields."""

    paths: frozenset[str]
    deployments: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    traffic: bool = False
    others: list[str] = dataclasses.field(default_factory=list)

    def add(self, field: FieldChange, deployments: Mapping[str, JSON]) -> None:
        """Take in one field that differs."""
        names = _split(field.path)
        if names is None:
            self.traffic = self.traffic or field.path.startswith("traffic")
            if not field.path.startswith("traffic"):
                self.others.append(_other(field))
            return
        name, inner = names
        if inner:
            renamed = field.path.removesuffix("version") + "name" in self.paths
            words = _subject(inner, field, deployments.get(name), renamed=renamed)
        elif field.declared is UNSET:
            words = _REMOVED
        else:
            words = f"added with {reference(deployments.get(name))}"
        if words is None:
            self.others.append(_other(field))
        elif words and words not in self.deployments.setdefault(name, []):
            self.deployments[name].append(words)


def _words(fields: Sequence[FieldChange], spec: Spec) -> Iterator[str]:
    deployments = _mapping(spec.get("deployments"))
    headline = _Headline(frozenset(field.path for field in fields))
    for field in fields:
        headline.add(field, deployments)
    several = len(deployments) > 1 or len(headline.deployments) > 1
    for name, words in headline.deployments.items():
        yield f"{name}: {', '.join(words)}" if several or _REMOVED in words else ", ".join(words)
    if headline.traffic:
        shares = " / ".join(f"{name} {weight} %" for name, weight in _mapping(spec.get("traffic")).items())
        yield f"traffic {shares}" if shares else "no traffic"
    if others := headline.others:
        yield ", ".join(others) if len(others) <= _SOME else plural(len(others), "field")


def _created(change: Change) -> str:
    if change.desired is None:
        return change.reason
    spec = change.desired.spec
    match change.address.kind:
        case Kind.ENDPOINT:
            deployments = _mapping(spec.get("deployments"))
            served = dict.fromkeys(filter(None, map(reference, deployments.values())))
            return f"serves {', '.join(served)}" if served else change.reason
        case Kind.MODEL:
            files = _mapping(spec.get("files"))
            return f"registers {plural(len(files), 'file')}, sha256 {short(str(spec.get('sha256') or ''))}"
        case Kind.ENVIRONMENT:
            lock = spec.get("lock")
            return f"registers lock {short(lock)}" if isinstance(lock, str) else "registers it, without a lock"
        case Kind.IMAGE | Kind.INFRA:
            return change.reason
        case _:
            assert_never(change.address.kind)


def _updated(change: Change) -> str:
    fields = [field for field in change.fields if field.effect is not FieldEffect.IGNORED]
    spec = change.desired.spec if change.desired is not None else {}
    said = [words for words in _words(fields, spec) if words]
    between = "; " if len(said) > 1 else ", "
    return between.join(filter(None, (*said, _shift(change)))) or change.reason


def meaning(change: Change) -> str:
    """One line on what a change does, or on why nothing is done. It may hold any character: escape it.

    Args:
        change: One decision of a plan.
    """
    match change.action:
        case Action.NONE | Action.BLOCKED:
            return change.reason
        case Action.WAIT:
            return f"{change.reason}: {', '.join(change.waits)}" if change.waits else change.reason
        case Action.DELETE:
            used = ", ".join(a.name for a in sorted(change.uses) if a.kind is Kind.MODEL)
            return f"{change.reason}; it serves {used}" if used else change.reason
        case Action.CREATE:
            return _created(change)
        case Action.UPDATE:
            return _updated(change)
        case Action.REPLACE:
            return f"deleted and made again: {_updated(change)}"
        case _:
            assert_never(change.action)


def needs_reason(change: Change) -> bool:
    """Whether the reason says something that neither the headline nor the fields say."""
    if change.action not in (Action.CREATE, Action.UPDATE):
        return False
    said = {"", "declared and not live", meaning(change), *(field.reason.partition(";")[0] for field in change.fields)}
    return change.reason not in said

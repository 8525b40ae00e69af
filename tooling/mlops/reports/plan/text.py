"""A plan as text for a terminal or a log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from mlops.plan.change import Action, Change, Plan
from mlops.reports.escape import plain
from mlops.reports.palette import PLAIN, Palette, Tone
from mlops.reports.plan.fields import field_line
from mlops.reports.plan.heading import revision_text, summary_line
from mlops.reports.plan.meaning import meaning, needs_reason, soak_text
from mlops.reports.plan.ordering import Listed, listed
from mlops.reports.plan.remedies import remedy
from mlops.reports.values import plural, short
from mlops.resource import FieldEffect, HealthState

if TYPE_CHECKING:
    from mlops.rollout import Step

_FIELDS = 12
"""Fields shown of one change; the JSON report has all."""

_TONES: Mapping[Action, Tone | None] = {
    Action.DELETE: Tone.DANGER,
    Action.REPLACE: Tone.DANGER,
    Action.BLOCKED: Tone.DANGER,
    Action.WAIT: Tone.NOTE,
    Action.UPDATE: Tone.CHANGE,
    Action.CREATE: Tone.GOOD,
    Action.NONE: None,
}
_INDENT = " " * 10


def _step(step: Step) -> str:
    return plain(step.title) + soak_text(step)


def _steps(change: Change, palette: Palette) -> Iterator[str]:
    if len(change.steps) > 1:
        for number, step in enumerate(change.steps, 1):
            yield f"{_INDENT}{palette.paint(Tone.QUIET, f'{number}.')} {_step(step)}"


def _fields(change: Change, palette: Palette) -> Iterator[str]:
    """The fields that differ; what several of them have in common is said once, below them."""
    lines = [field_line(field) for field in change.fields[:_FIELDS]]
    width = min(max((len(plain(line.path)) for line in lines), default=0), 48)
    for (effect, reason), group in groupby(lines, lambda line: (line.effect, line.reason)):
        for line in group:
            applied = f"  ({plain(line.applied)})" if line.applied else ""
            yield f"{_INDENT}{plain(line.path).ljust(width)}  {line.values}{applied}"
        yield _INDENT + palette.paint(Tone.QUIET, f"  {effect}: {plain(reason)}")
    if len(change.fields) > _FIELDS:
        yield f"{_INDENT}{plural(len(change.fields) - _FIELDS, 'more field')}: --format json names them"


def _detail(item: Listed, palette: Palette) -> Iterator[str]:
    change = item.change
    if needs_reason(change):
        yield f"{_INDENT}{plain(change.reason)}"
    if change.health is not None and change.health.state is not HealthState.HEALTHY:
        reason = f": {plain(change.health.reason)}" if change.health.reason else ""
        yield f"{_INDENT}{palette.paint(Tone.DANGER, change.health.state.value)} now{reason}"
    yield from _steps(change, palette)
    yield from _fields(change, palette)
    if found := remedy(change, item.stage):
        yield f"{_INDENT}{plain(found.todo)}"
        if found.command:
            yield f"{_INDENT}    {plain(found.command)}"


def _change(item: Listed, palette: Palette) -> Iterator[str]:
    change = item.change
    action = palette.paint(_TONES[change.action], change.action.value.ljust(7))
    address = palette.paint(Tone.STRONG, plain(str(change.address)))
    yield f"{action} {address}{item.mark}: {plain(meaning(change))}"
    yield from _detail(item, palette)


def _telling(items: Iterable[Listed]) -> Iterator[Listed]:
    """Unchanged objects with something to say: a suppressed difference, why they are kept, or that they are sick."""
    for item in items:
        suppressed = any(field.effect is FieldEffect.IGNORED for field in item.change.fields)
        sick = item.change.health is not None and item.change.health.state is not HealthState.HEALTHY
        if suppressed or sick or item.change.reason != "as declared":
            yield item


def render_plan(plan: Plan, palette: Palette = PLAIN) -> str:
    """What will be done: deletions first, the meaning of each change before its fields, a summary last.

    Args:
        plan: Made now, or read from a plan file.
        palette: Colours.
    """
    items = listed(plan)
    changed = [item for item in items if item.change.action is not Action.NONE]
    lines = [f"Stage {plain(plan.stage)} of {plain(plan.project)}, from {revision_text(plan)}", ""]
    unchanged = (item for item in items if item.change.action is Action.NONE)
    for item in (*changed, *_telling(unchanged)):
        block = list(_change(item, palette))
        lines += [*([""] if len(block) > 1 and lines[-1] else []), *block, *([""] if len(block) > 1 else [])]
    lines += [""] if lines[-1] else []
    lines.append(palette.paint(Tone.STRONG, "No changes: " if not changed else "") + f"{summary_line(plan)}.")
    if plan.summary.effective:
        lines.append(
            palette.paint(Tone.QUIET, f"Effect {short(plan.digests.effect)}, basis {short(plan.digests.basis)}.")
        )
    return "\n".join(lines) + "\n"

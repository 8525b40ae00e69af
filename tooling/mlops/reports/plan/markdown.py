"""A plan as Markdown for a pull request: summary above the fold, deletions first, details folded, one comment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mlops.plan.change import Action, Plan
from mlops.reports.escape import code, cut, html, markdown
from mlops.reports.plan.fields import field_line
from mlops.reports.plan.heading import revision_text, summary_line
from mlops.reports.plan.meaning import meaning, needs_reason, soak_text
from mlops.reports.plan.ordering import Listed, listed
from mlops.reports.plan.remedies import remedy
from mlops.reports.values import plural, short

LIMIT = 65_535
"""Characters that a comment on GitHub may have (its API answers 422 beyond); Azure DevOps takes more."""

_DESTRUCTIVE = (Action.DELETE, Action.REPLACE)
_NAME = 100
"""Characters of a stage, a project or a branch; a plan file may come from elsewhere."""

_WORDS = 300
"""Characters of the meaning of one change; its fields follow in the folded part."""


def _strong(action: Action) -> str:
    return f"**{action.value}**" if action in (*_DESTRUCTIVE, Action.BLOCKED) else action.value


def _row(item: Listed) -> str:
    said = markdown(meaning(item.change)[:_WORDS])
    return f"| {_strong(item.change.action)} | {code(str(item.change.address))}{item.mark} | {said} |\n"


def _names(item: Listed) -> str:
    return f"{code(str(item.change.address))} "


def _detail(item: Listed) -> str:
    change = item.change
    lines = [f"<details><summary>{html(str(change.address))}: {change.action.value}</summary>", ""]
    if needs_reason(change):
        lines += [markdown(change.reason), ""]
    if len(change.steps) > 1:
        lines += [*(f"{n}. {markdown(step.title)}{soak_text(step)}" for n, step in enumerate(change.steps, 1)), ""]
    if change.fields:
        lines += ["| Field | Live → declared | Effect | Why |", "|---|---|---|---|"]
        for line in map(field_line, change.fields):
            why = "; ".join(filter(None, (line.applied, line.reason)))
            lines.append(f"| {code(line.path)} | {code(line.values)} | {line.effect} | {markdown(why)} |")
        lines.append("")
    if found := remedy(change, item.stage):
        lines += [markdown(found.todo), "", *([code(found.command), ""] if found.command else [])]
    return "\n".join([*lines, "</details>", "", ""]) if len(lines) > 2 else ""


def _fill(items: Sequence[Listed], write: Callable[[Listed], str], room: int) -> tuple[str, int]:
    """Write as many items as there is room for; how many were left out."""
    written: list[str] = []
    for index, item in enumerate(items):
        text = write(item)
        if len(text) > room:
            return "".join(written), len(items) - index
        written.append(text)
        room -= len(text)
    return "".join(written), 0


def _head(plan: Plan) -> str:
    project, origin = (markdown(cut(text, _NAME)) for text in (plan.project, revision_text(plan)))
    return (
        f"### {code(cut(plan.stage, _NAME))}: {summary_line(plan)}\n\n"
        f"{project} from {origin}, effect {code(short(plan.digests.effect))}\n\n"
    )


_TABLE = "| Action | Object | Meaning |\n|---|---|---|\n"


def _destroyed(items: Sequence[Listed], room: int) -> tuple[str, int]:
    """Rows for what is deleted or replaced; names alone where rows do not fit, and never silently fewer."""
    rows, left = _fill(items, _row, room)
    if not left:
        return f"{_TABLE}{rows}", 0
    names, left = _names_by_kind(items, room)
    deleted = f"**Deleted or replaced ({len(items):,}):** {names}\n\n"
    if left:
        deleted = f"**{left:,} of {len(items):,} deletions do not fit here: read the whole plan.**\n\n{deleted}"
    return f"{deleted}{_TABLE}", left


def _names_by_kind(items: Sequence[Listed], room: int) -> tuple[str, int]:
    """As many names as there is room for, the kind said once; how many were left out."""
    kinds: dict[str, list[str]] = {}
    left = 0
    for item in items:
        address = item.change.address
        room -= len(html(address.name)) - len(html("")) + len(", ")
        if room < 0:
            left += 1
        else:
            kinds.setdefault(address.kind.value, []).append(address.name)
    return "; ".join(f"{kind} {code(', '.join(names))}" for kind, names in kinds.items()), left


def _left_out(counts: Iterable[tuple[int, str]]) -> str:
    said = [plural(count, noun) for count, noun in counts if count]
    return f"\nLeft out for length: {', '.join(said)}. The plan as text or JSON has everything.\n" if said else ""


def render_plan_markdown(plan: Plan, limit: int = LIMIT) -> str:
    """What will be done, in at most `limit` characters.

    Room is given in the order of what a reviewer must not miss: the summary, what is deleted or replaced, the other
    changes, their fields, and last the names of what stays. What is left out is counted at the end.

    Args:
        plan: Made now, or read from a plan file.
        limit: Characters, at least 2,000.
    """
    items = listed(plan)
    destroyed = [item for item in items if item.change.action in _DESTRUCTIVE]
    changed = [item for item in items if item.change.action not in (*_DESTRUCTIVE, Action.NONE)]
    unchanged = [item for item in items if item.change.action is Action.NONE]
    text = _head(plan)
    room = limit - 600
    if destroyed or changed:
        table, lost = _destroyed(destroyed, room - len(text))
        text += table
        rows, no_row = _fill(changed, _row, room - len(text))
        text += f"{rows}\n"
        details, no_detail = _fill([*destroyed, *changed], _detail, room - len(text))
        text += details
    else:
        lost = no_row = no_detail = 0
    names, unnamed = _fill(unchanged, _names, room - len(text) - 100)
    if names:
        text += f"<details><summary>{len(unchanged):,} unchanged</summary>\n\n{names.rstrip()}\n\n</details>\n"
    counts = ((lost, "deletion"), (no_row, "change"), (no_detail, "folded detail"), (unnamed, "unchanged name"))
    return text + _left_out(counts)

"""What differs between what was applied and what is live."""

from __future__ import annotations

from collections.abc import Sequence

from mlops.plan.change import Change
from mlops.plan.file import change_to_json
from mlops.reports.document import document
from mlops.reports.escape import code, markdown, plain
from mlops.reports.palette import PLAIN, Palette, Tone
from mlops.reports.plan.fields import FieldLine, field_line
from mlops.reports.values import plural


def _headline(changes: Sequence[Change]) -> str:
    return f"Drift: {plural(len(changes), 'object')} changed outside of Git" if changes else "No drift"


def _field(line: FieldLine, palette: Palette) -> str:
    return f"{plain(line.path)}  {line.values}  {palette.paint(Tone.QUIET, f'({plain(line.reason)})')}"


def render_drift(stage: str, changes: Sequence[Change], palette: Palette = PLAIN) -> str:
    """One block an object: what became of it, and each field with what was applied and what is live."""
    lines: list[str] = []
    for change in changes:
        address = palette.paint(Tone.STRONG, plain(str(change.address)))
        lines.append(f"{palette.paint(Tone.DANGER, 'drift')} {address}: {plain(change.reason)}")
        lines += [f"      {_field(line, palette)}" for line in map(field_line, change.fields)]
        lines.append("")
    mend = " `mlops apply` puts back what Git declares." if changes else ""
    return "\n".join([*lines, f"{_headline(changes)} in stage {plain(stage)}.{mend}"]) + "\n"


def render_drift_markdown(stage: str, changes: Sequence[Change]) -> str:
    """A table of objects and fields."""
    lines = [f"### {_headline(changes)} in {code(stage)}", ""]
    if changes:
        lines += ["| Object | Field | Live → declared | Why |", "|---|---|---|---|"]
    for change in changes:
        if not change.fields:
            lines.append(f"| {code(str(change.address))} | | | {markdown(change.reason)} |")
        for line in map(field_line, change.fields):
            cells = (code(str(change.address)), code(line.path), code(line.values), markdown(line.reason))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def render_drift_json(stage: str, changes: Sequence[Change]) -> str:
    """Every change with its fields."""
    return document("drift", {"stage": stage, "changes": [change_to_json(change) for change in changes]})

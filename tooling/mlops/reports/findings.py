"""What `mlops doctor` found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mlops.reports.document import document
from mlops.reports.escape import lines, plain
from mlops.reports.palette import PLAIN, Palette, Tone
from mlops.reports.values import plural
from mlops.resource import JSON


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    BAD = "bad"


_TONES: Mapping[Verdict, Tone] = {Verdict.OK: Tone.GOOD, Verdict.WARNING: Tone.CHANGE, Verdict.BAD: Tone.DANGER}


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and its outcome.

    Attributes:
        check: What was looked at.
        verdict: "bad" keeps an apply from succeeding, "warning" may.
        detail: What was found.
        todo: How to mend it.
        command: A command that mends it.
    """

    check: str
    verdict: Verdict
    detail: str
    todo: str = ""
    command: str = ""


def _lines(finding: Finding, palette: Palette) -> Iterator[str]:
    verdict = palette.paint(_TONES[finding.verdict], finding.verdict.value.ljust(7))
    first, *more = lines(finding.detail)
    yield f"{verdict} {plain(finding.check)}: {first}"
    for text, indent in ((finding.todo, 8), (finding.command, 12)):
        more += [f"{' ' * (indent - 8)}{line}" for line in lines(text)] if text else []
    yield from (f"        {line}" for line in more)


def summary(findings: Sequence[Finding]) -> str:
    """`7 ok, 1 warning, 0 bad`."""
    counts = {verdict: sum(f.verdict is verdict for f in findings) for verdict in Verdict}
    warnings = plural(counts[Verdict.WARNING], "warning")
    return f"{counts[Verdict.OK]} ok, {warnings}, {counts[Verdict.BAD]} bad"


def render_findings(findings: Sequence[Finding], palette: Palette = PLAIN) -> str:
    """One line a check, and below it how to mend what is not well."""
    written = [line for finding in findings for line in _lines(finding, palette)]
    return "\n".join([*written, "", f"{summary(findings)}."]) + "\n"


def render_findings_json(findings: Sequence[Finding]) -> str:
    """Every check."""
    checks: list[JSON] = [
        {"check": f.check, "verdict": f.verdict.value, "detail": f.detail, "todo": f.todo, "command": f.command}
        for f in findings
    ]
    return document("doctor", {"checks": checks})

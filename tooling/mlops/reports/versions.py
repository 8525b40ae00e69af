"""Versions of models and environments: what Git declares beside what the registry holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from mlops.reports.document import document
from mlops.reports.escape import plain
from mlops.reports.palette import PLAIN, Palette, Tone
from mlops.reports.table import Cell, Table
from mlops.reports.values import short, value_text
from mlops.resource import JSON, Kind, Spec

_TONES: Mapping[str, Tone] = {
    "registered": Tone.GOOD,
    "declared": Tone.NOTE,
    "changed": Tone.CHANGE,
    "undeclared": Tone.CHANGE,
    "differs": Tone.DANGER,
}


class Version(Protocol):
    """One version, as this report needs it."""

    @property
    def kind(self) -> Kind:
        """MODEL or ENVIRONMENT."""

    @property
    def reference(self) -> str:
        """`name:version`."""

    @property
    def state(self) -> str:
        """How Git and the registry agree."""

    @property
    def spec(self) -> Spec:
        """What it is."""

    @property
    def file(self) -> str | None:
        """Its YAML."""

    @property
    def registered(self) -> str | None:
        """When it was registered, in ISO 8601."""

    @property
    def ours(self) -> bool:
        """Whether this project registered it."""

    @property
    def problem(self) -> str:
        """Why it cannot be used, or empty."""

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags."""

    @property
    def description(self) -> str:
        """Its description."""


def _digest(version: Version) -> str:
    found = version.spec.get("sha256" if version.kind is Kind.MODEL else "lock")
    return short(found) if isinstance(found, str) else ""


def _row(version: Version) -> tuple[str | Cell, ...]:
    state = Cell(str(version.state), _TONES.get(version.state))
    tags = ", ".join(f"{key}={value}" for key, value in version.tags.items())
    about = version.problem or version.description
    return version.reference, state, _digest(version), (version.registered or "")[:19], tags, about


def _table(kind: Kind, versions: Sequence[Version]) -> Table:
    digest = "sha256" if kind is Kind.MODEL else "lock"
    headings = (kind.value, "state", digest, "registered", "tags", "about")
    return Table(headings, [_row(version) for version in versions], f"No {kind.value} matches.")


def render_versions(kind: Kind, versions: Sequence[Version], palette: Palette = PLAIN) -> str:
    """One row a version."""
    return _table(kind, versions).text(palette)


def render_versions_markdown(kind: Kind, versions: Sequence[Version]) -> str:
    """One row a version."""
    return _table(kind, versions).markdown()


def _leaves(value: JSON, path: str) -> Iterator[tuple[str, JSON]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def render_version(version: Version, users: Sequence[str], palette: Palette = PLAIN) -> str:
    """Everything about one version, one line a value, and who uses it."""
    state = palette.paint(_TONES.get(version.state), version.state)
    lines = [f"{palette.paint(Tone.STRONG, plain(version.reference))} {state}"]
    lines += [f"  file: {plain(version.file)}"] if version.file else []
    lines += [f"  registered: {plain(version.registered)}"] if version.registered else []
    lines += [f"  problem: {palette.paint(Tone.DANGER, plain(version.problem))}"] if version.problem else []
    for path, value in _leaves(version.spec, ""):
        text = plain(value) if isinstance(value, str) else value_text(value, 200)
        lines.append(f"  {plain(path)}: {text}")
    lines += [f"  used by: {plain(user)}" for user in users] or ["  used by nothing"]
    return "\n".join(lines) + "\n"


def _json(version: Version) -> dict[str, JSON]:
    return {
        "kind": version.kind.value,
        "reference": version.reference,
        "state": str(version.state),
        "file": version.file,
        "registered": version.registered,
        "ours": version.ours,
        "problem": version.problem,
        "spec": version.spec,
    }


def render_versions_json(kind: Kind, versions: Sequence[Version]) -> str:
    """Every version."""
    return document(f"{kind.value}s", {"versions": [_json(version) for version in versions]})


def render_version_json(version: Version, users: Sequence[str]) -> str:
    """One version and who uses it."""
    return document(version.kind.value, {**_json(version), "used_by": list(users)})

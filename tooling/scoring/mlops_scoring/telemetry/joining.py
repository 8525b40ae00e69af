"""Many processes' metrics as one text: each worker's lines get its labels, and each name is described once.

What workers say is not trusted: a script can write anything to `prometheus_client`. A line that is none is left out,
and so is what goes beyond the bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from mlops_scoring.telemetry.exposition import labelled
from mlops_scoring.telemetry.families import Labels

MAX_BYTES = 4 * 1024 * 1024
"""Text taken from one worker at most."""

MAX_LINES = 20_000
"""Values taken from one worker at most."""

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
_VALUE = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|Inf|NaN)"
_SAMPLE = re.compile(rf"({_NAME})(?:\{{((?:{_LABEL}(?:,{_LABEL})*,?)?)\}})? ({_VALUE})( -?\d{{1,19}})?")
_COMMENT = re.compile(rf"# (HELP|TYPE) ({_NAME})(?: (.*))?")
_OWN_LABEL = re.compile(r'(?:(?<=,)|^)(deployment|worker)(?==")')
_SUFFIXES = ("_bucket", "_sum", "_count", "_created", "_total")
_TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})


@dataclass(slots=True)
class _Described:
    text: str = ""
    kind: str = "untyped"
    lines: list[str] = field(default_factory=list)


class Joined:
    """Texts of several processes, under way to one."""

    def __init__(self) -> None:
        """Begin empty."""
        self._families: dict[str, _Described] = {}
        self.left_out = 0

    def add(self, exposition: bytes, labels: Labels = ()) -> None:
        """Take one process' text.

        Args:
            exposition: What it answered.
            labels: Added to each of its values; labels of its own by these names become `exported_...`.
        """
        if len(exposition) > MAX_BYTES:
            exposition = exposition[:MAX_BYTES].rpartition(b"\n")[0]
            self.left_out += 1
        added = labelled(labels)[1:-1]
        taken = 0
        for line in exposition.decode("utf-8", "replace").split("\n"):
            if not line.startswith("#"):
                taken += 1
                if taken <= MAX_LINES:
                    self._add_sample(line, added)
                elif line:
                    self.left_out += 1
            elif (comment := _COMMENT.fullmatch(line)) is not None:
                self._describe(*comment.groups(default=""))

    def _describe(self, what: str, name: str, text: str) -> None:
        family = self._families.setdefault(name, _Described())
        if what == "HELP":
            family.text = family.text or text
        elif family.kind == "untyped" and text in _TYPES:
            family.kind = text

    def _add_sample(self, line: str, added: str) -> None:
        if not line:
            return
        sample = _SAMPLE.fullmatch(line)
        if sample is None:
            self.left_out += 1
            return
        name, own, value, when = sample.groups(default="")
        if added:
            own = _OWN_LABEL.sub(r"exported_\1", own)
        inner = ",".join(part for part in (own.rstrip(","), added) if part)
        braces = f"{{{inner}}}" if inner else ""
        self._families.setdefault(self._family_of(name), _Described()).lines.append(f"{name}{braces} {value}{when}")

    def _family_of(self, name: str) -> str:
        if name in self._families:
            return name
        for suffix in _SUFFIXES:
            base = name.removesuffix(suffix)
            if base != name and base in self._families:
                return base
        return name

    def text(self) -> bytes:
        """All of it, each name once."""
        return b"".join(self._pieces())

    def _pieces(self) -> Iterable[bytes]:
        for name, family in self._families.items():
            if not family.lines:
                continue
            head = f"# HELP {name} {family.text}\n# TYPE {name} {family.kind}\n"
            yield (head + "\n".join(family.lines) + "\n").encode(errors="replace")

"""Families in Prometheus' text format 0.0.4.

Written here and not by `prometheus_client`, whose import costs a process 4 MiB: the format is a page long
(https://prometheus.io/docs/instrumenting/exposition_formats/), and the tests read what is written with that package's
own parser.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from mlops_scoring.telemetry.families import Distribution, Family, Labels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of what `render` makes."""

_UNITS = {"s": "_seconds", "ms": "_milliseconds", "By": "_bytes"}
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_:]")
_NOT_IN_LABELS = re.compile(r"[^a-zA-Z0-9_]|^(?=[0-9])")
_IN_VALUES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_IN_HELP = str.maketrans({"\\": "\\\\", "\n": "\\n"})


def render(families: Iterable[Family]) -> bytes:
    """The text of some families."""
    return "".join(line for family in families for line in _lines(family)).encode(errors="replace")


def exposed_name(family: Family) -> str:
    """A family's name as Prometheus has it, without `_total`: OpenTelemetry's names have dots, and no units."""
    name = _NOT_IN_NAMES.sub("_", family.name).removesuffix("_total")
    unit = _UNITS.get(family.unit, "")
    return name if name.endswith(unit) else name + unit


def _lines(family: Family) -> Iterator[str]:
    name = exposed_name(family)
    if family.kind == "counter":
        name = f"{name}_total"
    yield f"# HELP {name} {family.text.translate(_IN_HELP)}\n"
    yield f"# TYPE {name} {family.kind}\n"
    for point in family.points:
        match point.value:
            case Distribution() as distribution:
                yield from _histogram(name, point.labels, distribution)
            case value:
                yield f"{name}{labelled(point.labels)} {number(value)}\n"


def _histogram(name: str, labels: Labels, distribution: Distribution) -> Iterator[str]:
    below = 0
    for bound, count in zip((*distribution.bounds, math.inf), distribution.counts, strict=True):
        below += count
        limit = "+Inf" if math.isinf(bound) else repr(float(bound))
        yield f"{name}_bucket{labelled((*labels, ('le', limit)))} {below}\n"
    yield f"{name}_sum{labelled(labels)} {number(distribution.total)}\n"
    yield f"{name}_count{labelled(labels)} {below}\n"


def labelled(labels: Labels) -> str:
    """Labels in braces, escaped; nothing where there are none."""
    if not labels:
        return ""
    pairs = (f'{_NOT_IN_LABELS.sub("_", name)}="{value.translate(_IN_VALUES)}"' for name, value in labels)
    return "{" + ",".join(pairs) + "}"


def number(value: float) -> str:
    """A number as Prometheus reads it."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))

"""What an endpoint's workers say of the data that they collect: a part of the metrics that its supervisor joins.

Scripts write metrics too, and can write what they like: what is no count is not read, and of two values for one the
first is ours.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops.driver import Collected

_SAMPLE = re.compile(
    r"mlops_worker_(up|collected_events_total|collected_dropped_total|collected_queue_length)"
    r'\{((?:[a-z_]+="[^"\\]*",?)+)\} (\d{1,18})'
)
_LABEL = re.compile(r'([a-z_]+)="([^"\\]*)"')


@dataclass(slots=True)
class _Deployment:
    """Values by what else distinguishes them."""

    values: dict[str, dict[tuple[str, str], int]] = field(default_factory=lambda: defaultdict(dict))

    def total(self, name: str) -> int:
        return sum(self.values[name].values())


def read_collected(metrics: str) -> Mapping[str, Collected]:
    """What each deployment's workers have collected, by live name; without those that do not collect.

    Args:
        metrics: The whole endpoint's, in Prometheus' text format.
    """
    found: dict[str, _Deployment] = defaultdict(_Deployment)
    for line in metrics.splitlines():
        if (sample := _SAMPLE.fullmatch(line)) is not None:
            labels = dict(_LABEL.findall(sample[2]))
            what = labels.get("reason") or labels.get("designation") or ""
            values = found[labels.get("deployment", "")].values[sample[1]]
            values.setdefault((labels.get("worker", ""), what), int(sample[3]))
    return {name: _collected(one) for name, one in found.items() if one.values.keys() - {"up"}}


def _collected(deployment: _Deployment) -> Collected:
    dropped: dict[str, int] = {}
    for (_, reason), count in sorted(deployment.values["collected_dropped_total"].items()):
        dropped[reason] = dropped.get(reason, 0) + count
    return Collected(
        deployment.total("collected_events_total"),
        {reason: count for reason, count in sorted(dropped.items()) if count},
        deployment.total("collected_queue_length"),
        sum(answered == 0 for answered in deployment.values["up"].values()),
    )

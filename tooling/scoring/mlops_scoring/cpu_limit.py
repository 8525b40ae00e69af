"""How many CPUs this process may use: the container's limit, or those that the machine gives it."""

from __future__ import annotations

import math
import os
from pathlib import Path

_VERSION_2 = "sys/fs/cgroup/cpu.max"
_VERSION_1 = ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "sys/fs/cgroup/cpu/cpu.cfs_period_us")


def cpu_limit(root: Path = Path("/")) -> int:
    """Whole CPUs, rounded up, at least one.

    The quota of the control group is read as the kernel documents it (Control Group v2, "CPU Interface Files"; CFS
    Bandwidth Control for version 1); no quota leaves the CPUs that the scheduler may use.

    Args:
        root: Where the control groups' files are found.
    """
    quota = _quota(root)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(available, available if quota is None else math.ceil(quota)))


def _quota(root: Path) -> float | None:
    try:
        if (root / _VERSION_2).exists():
            quota, period = (root / _VERSION_2).read_text(encoding="ascii").split()
        else:
            quota, period = ((root / name).read_text(encoding="ascii").strip() for name in _VERSION_1)
        return None if quota in {"max", "-1"} else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None

"""The ledger: one append-only branch a stage that is journal, lock, memory and audit in one.

Names are imported when they are first asked for: a plan reads a state and needs no more.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops.ledger.clock import Clock, SystemClock
    from mlops.ledger.errors import CorruptLedger
    from mlops.ledger.history import Moment
    from mlops.ledger.lease import Terms
    from mlops.ledger.ledger import Ledger
    from mlops.ledger.lock import Lock, Standing
    from mlops.ledger.record import Origin, Outcome, Record, RecordedResult
    from mlops.ledger.run import Intent, Run
    from mlops.ledger.state import Applied, OpenRun, Progress, State
    from mlops.ledger.tip import Tip

__all__ = [
    "Applied",
    "Clock",
    "CorruptLedger",
    "Intent",
    "Ledger",
    "Lock",
    "Moment",
    "OpenRun",
    "Origin",
    "Outcome",
    "Progress",
    "Record",
    "RecordedResult",
    "Run",
    "Standing",
    "State",
    "SystemClock",
    "Terms",
    "Tip",
]

_MODULES = {
    "Applied": "state",
    "Clock": "clock",
    "CorruptLedger": "errors",
    "Intent": "run",
    "Ledger": "ledger",
    "Lock": "lock",
    "Moment": "history",
    "OpenRun": "state",
    "Origin": "record",
    "Outcome": "record",
    "Progress": "state",
    "Record": "record",
    "RecordedResult": "record",
    "Run": "run",
    "Standing": "lock",
    "State": "state",
    "SystemClock": "clock",
    "Terms": "lease",
    "Tip": "tip",
}


def __getattr__(name: str) -> object:
    """Import the module that defines a name."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

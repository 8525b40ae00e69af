"""The ledger: one append-only branch a stage that is journal, lock, memory and audit in one."""

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

"""`python -m mlops.pipeline.lock_gateway`: lock anew what supervisors run on, as the toolkit ships it."""

from __future__ import annotations

import sys

from mlops.drivers.local.environments import GATEWAY_LOCK
from mlops.lockfile import LockInput, extra_requirements, lock_is_current
from mlops.pipeline.lock_making import make_lock


def gateway_input() -> LockInput:
    """What the lock depends on: the scoring server's extra `gateway`."""
    return LockInput(extra_requirements("gateway"), None, (), ())


def main() -> int:
    """Write the lock where it is out of date."""
    before = GATEWAY_LOCK.read_text(encoding="utf-8") if GATEWAY_LOCK.exists() else ""
    if not lock_is_current(before, gateway_input()):
        made = make_lock("gateway", gateway_input(), before)
        pins = "".join(f"{line}\n" for line in made.splitlines() if not line.startswith("# Made by"))
        GATEWAY_LOCK.write_text(f"# Made by: python -m {__spec__.name}\n{pins}", encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What `make run` does: deploy this repository's own models on this machine, ask one of them, say what to try next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MLOPS = Path(sys.executable).parent / "mlops"

NEXT = """
Two endpoints answer on this machine. What to try next:

  Promote a model: in endpoints/digits/dev.yaml change digits:1 to digits:2, then
      .venv/bin/mlops plan --stage dev
      .venv/bin/mlops apply --stage dev

  See a canary go back: change it to digits:3, which is bad on purpose, and apply.

  Ask who did what, when and why:
      .venv/bin/mlops history --stage dev

  Take everything down:
      .venv/bin/mlops destroy --stage dev
"""


def _mlops(*arguments: str) -> None:
    """Show a command, and run it; end as it ended where it failed."""
    sys.stdout.write(f"\n$ mlops {' '.join(arguments)}\n")
    sys.stdout.flush()
    done = subprocess.run([str(MLOPS), *arguments], cwd=ROOT, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


def main() -> None:
    """Apply stage dev, score the sample of digits, and go on from there."""
    _mlops("apply", "--stage", "dev", "--yes")
    _mlops("score", "digits", "--stage", "dev")
    sys.stdout.write(NEXT)


if __name__ == "__main__":
    main()

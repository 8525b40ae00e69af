"""A program that uses a ledger as a command does; the tests start it, race it and kill it.

Usage: ledger_program.py hold|append FOLDER REMOTE-or-"-"

`hold` begins a run, prints "held" or the error's exit code, and keeps the lock until its standard input ends.
`append` tells a run step by step for ever, printing each number once it is durable.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from mlops.errors import MlopsError
from mlops.git import GitRepository
from mlops.ledger import Intent, Ledger, Origin
from mlops.resource import Address, Kind, Spec, digest

ENDPOINT = Address(Kind.ENDPOINT, "digits@local-dev")


def _say(text: object) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _append(ledger: Ledger, intent: Intent) -> None:
    with ledger.begin(intent) as run:
        for number in count():
            spec: Spec = {"number": number, "traffic": {"new": number % 100}}
            run.step(ENDPOINT, digest(spec), number, spec, done=True)
            _say(number)


def main() -> int:
    """Do what the arguments say."""
    verb, folder, remote = sys.argv[1:]
    with GitRepository.open(Path(folder)) as git:
        ledger = Ledger.open(git, "dev", project="digits-demo", remote=None if remote == "-" else remote)
        intent = Intent(Origin(git.actor(), "an experiment"), {ENDPOINT: "g"})
        try:
            if verb == "append":
                _append(ledger, intent)
            with ledger.begin(intent) as run:
                _say("held")
                sys.stdin.read()
                run.finish([])
        except MlopsError as error:
            _say(int(error.exit_code))
            return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())

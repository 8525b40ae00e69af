"""How a run meets its user: it shows the plan, asks, tells of progress, and hears that it should stop."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from mlops.cli.progress import Tell, telling
from mlops.cli.stopping import stoppable
from mlops.cli.terminal import Format, Terminal
from mlops.errors import Blocked, Diagnostic

if TYPE_CHECKING:
    from mlops.apply.result import Progress
    from mlops.pipeline.applying import Conduct
    from mlops.plan.change import Plan


def require_consent(terminal: Terminal, *, agreed: bool, command: str) -> None:
    """Refuse early where nobody can be asked.

    Args:
        terminal: Whether there is anybody.
        agreed: Whether agreement was given on the command line.
        command: The command that gives it.

    Raises:
        Blocked: Nobody can be asked, and nobody agreed.
    """
    if not agreed and not terminal.interactive:
        raise Blocked(
            Diagnostic(
                "Nobody to ask",
                "This writes to targets, and there is no terminal on which it could be agreed to.",
                todo="Agree in advance, or apply a plan that was reviewed:",
                command=command,
            )
        )


def _show(terminal: Terminal, plan: Plan) -> None:
    """Show the plan beside the result, for whoever agrees to it."""
    from mlops.reports.palette import Palette  # noqa: PLC0415 - only runs need it
    from mlops.reports.plan.text import render_plan  # noqa: PLC0415

    if terminal.format is Format.TEXT:
        terminal.say(render_plan(plan, Palette(terminal.coloured(terminal.err))))


@contextlib.contextmanager
def conducting(terminal: Terminal, *, agreed: bool, question: str) -> Iterator[Conduct]:
    """The conduct of one run.

    Until the user has agreed, Ctrl-C ends the command as usual; from then on it asks the run to stop.

    Args:
        terminal: Where to show, ask and tell.
        agreed: Do not ask.
        question: What to ask, such as `Apply this to dev?`.
    """
    from mlops.pipeline.applying import Conduct  # noqa: PLC0415 - heavy, and only runs need it

    stop = threading.Event()
    telling_to: list[Tell] = []
    with contextlib.ExitStack() as stack:

        def confirm(plan: Plan) -> bool:
            _show(terminal, plan)
            if not agreed and not click.confirm(question, default=False, err=True):
                return False
            stack.enter_context(stoppable(terminal, stop))
            telling_to.append(stack.enter_context(telling(terminal)))
            return True

        def progress(event: Progress) -> None:
            for tell in telling_to:
                tell(event)

        yield Conduct(confirm, progress, stop, terminal.say)

"""Run one command line and give its exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from itertools import pairwise

import click

from mlops.cli.root import COMPLETE, root
from mlops.cli.terminal import Format, Terminal, open_terminal
from mlops.errors import Diagnostic, Exit, MlopsError

_BUG = "This is a bug in mlops and no fault of your repository. Please report it with the lines above."


def _usage(error: click.ClickException) -> Diagnostic:
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = f"{context.command_path} --help" if context is not None else "mlops --help"
    return Diagnostic("Wrong usage", error.format_message(), todo="See how it is used:", command=command)


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether errors are to be JSON, also those that come before the options are understood."""
    return "--format=json" in arguments or ("--format", "json") in pairwise(arguments)


def _invoke(arguments: Sequence[str], terminal: Terminal) -> int:
    with root.make_context("mlops", list(arguments), obj=terminal) as context:
        code: object = root.invoke(context)
        return int(code) if isinstance(code, int) else int(Exit.DONE)


def run(arguments: Sequence[str]) -> int:
    """Run a command line.

    Args:
        arguments: Without the program's name.

    Returns:
        The exit code. A usage error is 64, because 2 means changes; what is no `MlopsError` keeps its traceback.
    """
    if COMPLETE in os.environ:
        root.main(list(arguments), prog_name="mlops", complete_var=COMPLETE)
    terminal = open_terminal()
    if _wants_json(arguments):
        terminal.format = Format.JSON
    code = Exit.FAILED
    try:
        return _invoke(arguments, terminal)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        code = Exit.USAGE
        terminal.talk(error.format_message())
    except click.ClickException as error:
        code = Exit.USAGE
        terminal.error([_usage(error)], code)
    except MlopsError as error:
        code = error.exit_code
        terminal.error(error.diagnostics, code)
    except (KeyboardInterrupt, click.Abort):
        code = Exit.INTERRUPTED
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end is near, and one more key must not change how it is told
        terminal.error([Diagnostic("Interrupted")], code)
    except Exception:  # noqa: BLE001 - the last resort: a bug keeps its traceback and gets an exit code of ours
        traceback.print_exc(file=sys.stderr)
        terminal.err.write(f"\n{_BUG}\n")
    return int(code)

"""The command `mlops` itself: its options, and its commands, which are imported when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

import click

from mlops import __version__
from mlops.cli.terminal import Terminal
from mlops.errors import did_you_mean

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Change": {
        "validate": "Check every file of the repository.",
        "plan": "Show what an apply would do.",
        "apply": "Make a stage as Git declares it.",
        "rollback": "Go back to what was good before.",
        "destroy": "Delete everything that a stage has.",
    },
    "Look": {
        "status": "Show what is live, and how it is.",
        "drift": "Show what was changed outside of Git.",
        "show": "Show an object's declaration and where each value comes from; or a saved plan.",
        "history": "Show who did what, when and why; or what served at a time.",
        "logs": "Show the last lines of an endpoint's logs.",
        "score": "Send a request to an endpoint.",
        "credentials": "Print what opens an endpoint: its keys, or a token.",
        "collect": "Work with the data that endpoints have collected.",
        "snapshot": "Save what is live, to plan from it elsewhere.",
    },
    "Set up": {
        "model": "Register, find, tag, verify and delete models.",
        "environment": "List, show and lock environments.",
        "locks": "List the locks of stages, or break one.",
        "doctor": "Check this machine and repository before the first write.",
        "init": "Make a new repository that works.",
        "schema": "Print or write the JSON Schemas of the YAML files.",
        "completion": "Print the script that completes commands in your shell.",
    },
}
"""Every command with its short help, so that `mlops --help` imports none of them."""

COMMANDS: Mapping[str, str] = {name: text for section in SECTIONS.values() for name, text in section.items()}


class LazyGroup(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order of the help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mlops.cli.commands.{cmd_name}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section."""
        del ctx
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()), col_max=14)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or say which one was meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            ctx.fail(f'There is no command "{name}". {did_you_mean(name, list(COMMANDS))}'.rstrip())
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "-C",
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Work in this directory, or above it, instead of the current one.",
)
@click.option("--no-color", is_flag=True, help="Write without colour, as NO_COLOR=1 in the environment does.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but the result, warnings and errors.")
@click.version_option(__version__, "--version", message="mlops %(version)s", help="Print the version.")
@click.pass_context
def root(context: click.Context, directory: Path, *, no_color: bool, quiet: bool) -> None:
    """Declare models, environments and endpoints in Git; plan and apply them.

    The result goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 changes
    (with --detailed-exitcode), 3 drift, 4 stale plan, 5 blocked, 6 waiting, 7 locked, 8 applied in part,
    64 wrong usage, 130 interrupted.
    """
    terminal = context.ensure_object(Terminal)
    terminal.colour = not no_color
    terminal.quiet = quiet
    context.meta[DIRECTORY] = directory


COMPLETE = "_MLOPS_COMPLETE"
"""Set by a shell that asks for completions, in click's own protocol."""

DIRECTORY = "mlops.directory"
"""Key of the directory to work in."""

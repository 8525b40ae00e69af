"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from mlops.cli import completing
from mlops.cli.root import DIRECTORY
from mlops.cli.terminal import Format, Terminal
from mlops.errors import Diagnostic, Exit, MlopsError
from mlops.resource import Address
from mlops.schemas.quantities import parse_duration

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from mlops.pipeline.workspace import Workspace

F = TypeVar("F", bound=Callable[..., object])


class Decorator(Protocol):
    """Adds an option to a command."""

    def __call__(self, command: F, /) -> F:
        """The command with the option."""


class WrongUsage(MlopsError):
    """The command line leaves something open."""

    exit_code = Exit.USAGE


class DurationType(click.ParamType[float]):
    """A duration as an option, in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read `30s` or `5m`; what is none is a usage error."""
        try:
            return value if isinstance(value, float) else parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class AddressType(click.ParamType[Address]):
    """An address as an argument or option."""

    name = "address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Read `kind/name`; what is none is a usage error."""
        if isinstance(value, Address):
            return value
        try:
            return Address.parse(str(value))
        except MlopsError as error:
            problem = error.diagnostics[0]
            self.fail(f"{problem.detail} {problem.todo}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer what is declared."""
        del param
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only a shell that completes needs it

        return [CompletionItem(address) for address in completing.addresses(ctx, incomplete)]


ADDRESS = AddressType()


def terminal() -> Terminal:
    """The streams of the command that runs."""
    found = click.get_current_context().find_object(Terminal)
    if found is None:
        raise TypeError("no terminal")
    return found


def directory() -> Path:
    """The directory that the command works in."""
    found = click.get_current_context().meta[DIRECTORY]
    if not isinstance(found, Path):
        raise TypeError(found)
    return found


def format_option(*formats: Format) -> Decorator:
    """`--format`, with the formats that a command has; the first is the default."""

    def keep(context: click.Context, _parameter: click.Parameter, value: str) -> None:
        found = context.find_object(Terminal)
        if found is not None:
            found.format = Format(value)

    return click.option(
        "--format",
        type=click.Choice([f.value for f in formats]),
        default=formats[0].value,
        show_default=True,
        is_eager=True,
        expose_value=False,
        callback=keep,
        help="How the result is written to stdout; with json, errors are JSON lines on stderr.",
    )


_DIGEST = re.compile(r"[0-9a-f]{12,64}")
"""A plan shows twelve digits, and fewer would not say which plan was meant."""


def check_digest(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """A digest or its beginning; anything else is a usage error.

    Raises:
        click.BadParameter: It is none.
    """
    if value is not None and not _DIGEST.fullmatch(value):
        raise click.BadParameter(f'"{value}" is not a digest of 12 to 64 hexadecimal digits.')
    return value


def stage_option() -> Decorator:
    """`--stage`, which the environment or the only stage may answer."""
    return click.option(
        "-s",
        "--stage",
        envvar="MLOPS_STAGE",
        show_envvar=True,
        metavar="STAGE",
        shell_complete=completing.stages,
        help="The stage, or `shared`; by default the only stage that mlops.yaml declares.",
    )


def only_option() -> Decorator:
    """`--only`, repeatable."""
    return click.option(
        "--only",
        type=ADDRESS,
        multiple=True,
        metavar="ADDRESS",
        help="Narrow to this object and to what it needs; may be repeated.",
    )


def retry_option() -> Decorator:
    """`--retry`, repeatable."""
    return click.option(
        "--retry",
        type=ADDRESS,
        multiple=True,
        metavar="ADDRESS",
        help="Allow a goal again that this object was returned from before; may be repeated.",
    )


def open_here() -> Workspace:
    """Open the repository around the directory."""
    from mlops.pipeline.workspace import open_workspace  # noqa: PLC0415 - only commands that need a repository

    return open_workspace(directory())


def choose_stage(stage: str | None, stages: Sequence[str]) -> str:
    """The stage that was asked for, or the only one.

    Args:
        stage: What the user said, if anything.
        stages: What mlops.yaml declares.

    Raises:
        WrongUsage: There is more than one, and none was named.
    """
    if stage:
        return stage
    if len(stages) == 1:
        return stages[0]
    raise WrongUsage(
        Diagnostic(
            "Which stage?",
            f"mlops.yaml declares {len(stages)} stages: {', '.join(stages) or 'none'}.",
            todo="Name one with --stage, or set it for the whole shell:",
            command=f"export MLOPS_STAGE={stages[0] if stages else 'STAGE'}",
        )
    )


def reason_option() -> Decorator:
    """`-m/--reason`, which the ledger keeps."""
    return click.option("-m", "--reason", default="", metavar="TEXT", help="Why, for the ledger.")

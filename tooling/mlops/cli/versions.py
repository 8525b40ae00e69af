"""What `mlops model` and `mlops environment` have in common: searching and showing versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar, assert_never

import click

from mlops.cli.options import terminal
from mlops.cli.terminal import Format

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops.reports.versions import Version
    from mlops.resource import Kind

F = TypeVar("F", bound="Callable[..., object]")


def search_options(command: F) -> F:
    """The options by which versions are searched."""
    for option in reversed(
        (
            click.argument("text", nargs=-1, metavar="[WORDS]..."),
            click.option("--name", metavar="NAME", help="Only versions of this name."),
            click.option(
                "--tag",
                "tags",
                multiple=True,
                metavar="KEY[=VALUE]",
                help="Only versions with this tag; may be repeated.",
            ),
            click.option(
                "--property",
                "properties",
                multiple=True,
                metavar="KEY[=VALUE]",
                help="Only versions with this property.",
            ),
        )
    ):
        command = option(command)
    return command


def show_versions(kind: Kind, versions: Sequence[Version]) -> None:
    """Write versions as the result."""
    from mlops.reports import versions as report  # noqa: PLC0415 - after they are found

    streams = terminal()
    match streams.format:
        case Format.TEXT:
            streams.result(report.render_versions(kind, versions, streams.palette))
        case Format.MARKDOWN:
            streams.result(report.render_versions_markdown(kind, versions))
        case Format.JSON:
            streams.result(report.render_versions_json(kind, versions))
        case _:
            assert_never(streams.format)


def show_details(version: Version, users: Sequence[str]) -> None:
    """Write one version as the result."""
    from mlops.reports import versions as report  # noqa: PLC0415 - after it is found

    streams = terminal()
    as_json = streams.format is Format.JSON
    streams.result(
        report.render_version_json(version, users)
        if as_json
        else report.render_version(version, users, streams.palette)
    )

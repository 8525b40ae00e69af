"""`mlops environment`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from mlops.cli.completing import environments
from mlops.cli.options import directory, format_option, open_here, terminal
from mlops.cli.terminal import Format
from mlops.cli.versions import search_options, show_details, show_versions
from mlops.cli.writing import writing


@click.group("environment")
def command() -> None:
    """List, show and lock environments.

    A version is environments/NAME/VERSION.yaml with its lock beside it: every package with its hashes.
    """


@command.command("list")
@search_options
@format_option(Format.TEXT, Format.MARKDOWN, Format.JSON)
def list_environments(*, text: Sequence[str], name: str | None, tags: Sequence[str], properties: Sequence[str]) -> None:
    """List versions, those of Git beside those of the registry.

    WORDS search names, descriptions, tags and requirements.
    """
    from mlops.pipeline.models import Search, list_environments
    from mlops.resource import Kind

    found = list_environments(open_here(), Search(name, tags, properties, " ".join(text)))
    show_versions(Kind.ENVIRONMENT, found)


@command.command("show")
@click.argument("reference", metavar="NAME:VERSION", shell_complete=environments)
@format_option(Format.TEXT, Format.JSON)
def show(*, reference: str) -> None:
    """Show one version and who uses it."""
    from mlops.pipeline.models import show_environment

    found = show_environment(open_here(), reference)
    show_details(found.version, found.users)


@command.command("lock")
@click.argument("reference", metavar="NAME[:VERSION]", shell_complete=environments)
@click.option("--upgrade", is_flag=True, help="Take the newest versions, also where the lock is up to date.")
def lock(*, reference: str, upgrade: bool) -> None:
    """Write the lock of an environment: hashes, for all platforms.

    One universal resolution of its requirements and of the scoring server's, made with uv. Without VERSION the highest.
    """
    from mlops.pipeline.environments import lock_environment
    from mlops.pipeline.workspace import find_root
    from mlops.reports.locking import render_locking

    root = find_root(directory())
    with writing(root / "environments"):
        done = lock_environment(root, reference, upgrade=upgrade)
    streams = terminal()
    streams.result(f"{done.path}\n")
    streams.say(render_locking(done))

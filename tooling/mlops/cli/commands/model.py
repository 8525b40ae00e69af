"""`mlops model`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlops.cli.completing import versions
from mlops.cli.options import format_option, open_here, terminal
from mlops.cli.pairs import PAIR, numbers, texts
from mlops.cli.terminal import Format
from mlops.cli.versions import search_options, show_details, show_versions
from mlops.cli.writing import writing
from mlops.errors import Exit

if TYPE_CHECKING:
    from mlops.pipeline.models import Verified

_MODELS = Path("models")


@click.group("model")
def command() -> None:
    """Register, find, tag, verify and delete models.

    A version exists when its file models/NAME/VERSION.yaml is in Git. These commands write such files; the next apply
    carries them to the registry.
    """


@command.command("register")
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILE...")
@click.option("--description", metavar="TEXT", help="What it is.")
@click.option(
    "--tag", "tags", type=PAIR, multiple=True, metavar="KEY=VALUE", help="Searchable, and may be edited later."
)
@click.option(
    "--property", "properties", type=PAIR, multiple=True, metavar="KEY=VALUE", help="Searchable and immutable."
)
@click.option("--metric", "metrics", type=PAIR, multiple=True, metavar="KEY=NUMBER", help="What was measured.")
@click.option(
    "--trained-in",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write down this Git repository's address, branch and commit as what trained it.",
)
@click.option(
    "--type", "kind", type=click.Choice(["custom_model", "mlflow_model"]), help="By default guessed from the files."
)
def register(  # noqa: PLR0913 - one parameter an option
    *,
    name: str,
    files: Sequence[Path],
    description: str | None,
    tags: Sequence[tuple[str, str]],
    properties: Sequence[tuple[str, str]],
    metrics: Sequence[tuple[str, str]],
    trained_in: Path | None,
    kind: str | None,
) -> None:
    """Declare the next version of a model.

    FILE is a file, several, or a folder. Up to 10 MiB are copied beside the YAML; what is larger goes to the registry's
    content store at once. Prints NAME:VERSION.
    """
    from mlops.pipeline.models import Registration, register

    said = Registration(
        description=description,
        tags=texts(tags, "--tag"),
        properties=texts(properties, "--property"),
        metrics=numbers(metrics, "--metric"),
        training=trained_in,
        type=kind,
    )
    workspace = open_here()
    with writing(_MODELS):
        made = register(workspace, name, files, said)
    streams = terminal()
    streams.result(f"{made.reference}\n")
    streams.say(f"Wrote {made.file}. Commit it, and name {made.reference} in an endpoint.")


@command.command("adopt")
@click.argument("reference", metavar="NAME:VERSION", shell_complete=versions)
def adopt(*, reference: str) -> None:
    """Declare a version that only the registry has.

    Writes the file that makes it reviewable; automation usually opens a pull request with it.
    """
    from mlops.pipeline.models import adopt

    workspace = open_here()
    with writing(_MODELS):
        made = adopt(workspace, reference)
    terminal().result(f"{made.file}\n")
    terminal().say(f"Wrote {made.file}. Commit it.")


@command.command("list")
@search_options
@format_option(Format.TEXT, Format.MARKDOWN, Format.JSON)
def list_models(*, text: Sequence[str], name: str | None, tags: Sequence[str], properties: Sequence[str]) -> None:
    """List versions, those of Git beside those of the registry.

    WORDS search names, descriptions, tags, properties and origin.
    """
    from mlops.pipeline.models import Search, list_models
    from mlops.resource import Kind

    show_versions(Kind.MODEL, list_models(open_here(), Search(name, tags, properties, " ".join(text))))


@command.command("show")
@click.argument("reference", metavar="NAME:VERSION", shell_complete=versions)
@format_option(Format.TEXT, Format.JSON)
def show(*, reference: str) -> None:
    """Show one version, where it came from, and who uses it."""
    from mlops.pipeline.models import show_model

    found = show_model(open_here(), reference)
    show_details(found.version, found.users)


@command.command("tag")
@click.argument("reference", metavar="NAME:VERSION", shell_complete=versions)
@click.argument("tags", nargs=-1, type=PAIR, metavar="[KEY=VALUE]...")
@click.option("--remove", multiple=True, metavar="KEY", help="Take this tag away; may be repeated.")
@click.option("--description", metavar="TEXT", help="A new description; an empty one takes it away.")
def tag(*, reference: str, tags: Sequence[tuple[str, str]], remove: Sequence[str], description: str | None) -> None:
    """Edit the tags or the description of a version.

    They are lines of its YAML: the change is committed, planned, applied and recorded like any other.
    """
    from mlops.pipeline.models import Edit, tag

    if not tags and not remove and description is None:
        raise click.UsageError("Say what to change: KEY=VALUE, --remove KEY or --description TEXT.")
    both = sorted({key for key, _ in tags} & set(remove))
    if both:
        raise click.UsageError(f'"{both[0]}" is given a value and removed.')
    edit = Edit(texts(tags, "KEY=VALUE"), remove, description)
    workspace = open_here()
    with writing(_MODELS):
        edited = tag(workspace, reference, edit)
    streams = terminal()
    streams.result(f"{edited.file}\n")
    streams.say(f"Edited {edited.file}. Commit and apply it." if edited.changed else "It said so already.")


@command.command("delete")
@click.argument("reference", metavar="NAME:VERSION", shell_complete=versions)
@click.option(
    "-m", "--reason", default="", metavar="TEXT", help="Why; kept beside the number, which is never used again."
)
def delete(*, reference: str, reason: str) -> None:
    """Take a version out of Git; refused while anything uses it.

    The next apply takes it out of the registry.
    """
    from mlops.pipeline.models import delete

    workspace = open_here()
    with writing(_MODELS):
        done = delete(workspace, reference, reason)
    streams = terminal()
    streams.result("".join(f"{name}\n" for name in done.removed))
    streams.say(f"Its number is remembered in {done.tombstones}. Commit both, and apply.")


@command.command("verify")
@click.option("--rebuild", is_flag=True, help="First make a damaged index again from its journal, its content and Git.")
@format_option(Format.TEXT, Format.JSON)
def verify(*, rebuild: bool) -> Exit:
    """Hash all that the registry holds, and compare it with Git."""
    from mlops.pipeline.models import verify

    found = verify(open_here(), rebuild=rebuild)
    streams = terminal()
    _tell(found)
    if found.problems:
        streams.error(found.problems, Exit.FAILED)
    return Exit.FAILED if found.problems else Exit.DONE


def _tell(found: Verified) -> None:
    from mlops.reports.verification import Checked, render_verification, render_verification_json

    registry, rebuilt = found.registry, found.rebuilt
    checked = Checked(registry.versions, registry.blobs, registry.bytes, len(found.problems))
    if rebuilt is not None:
        aside = tuple(map(str, rebuilt.set_aside))
        checked = replace(checked, rebuilt=True, from_git=rebuilt.from_git, restored=rebuilt.restored, set_aside=aside)
    streams = terminal()
    as_json = streams.format is Format.JSON
    streams.result(render_verification_json(checked) if as_json else render_verification(checked))

"""`mlops apply`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlops.cli.conducting import conducting, require_consent
from mlops.cli.options import (
    DurationType,
    check_digest,
    choose_stage,
    format_option,
    only_option,
    open_here,
    reason_option,
    retry_option,
    stage_option,
    terminal,
)
from mlops.cli.rendering import show_results
from mlops.cli.terminal import Format
from mlops.errors import Exit

if TYPE_CHECKING:
    from mlops.plan.change import Plan
    from mlops.resource import Address


@click.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@stage_option()
@only_option()
@retry_option()
@click.option("-y", "--yes", is_flag=True, help="Do not ask; for CI.")
@click.option(
    "--effect",
    metavar="DIGEST",
    callback=check_digest,
    help="Apply only what has this effect digest, as a plan shows it; does not ask.",
)
@click.option(
    "--allow-deletes",
    type=click.IntRange(min=0),
    metavar="N",
    help="Allow as many deletes and replaces instead of the fuse's bound.",
)
@reason_option()
@click.option(
    "--parallel",
    type=click.IntRange(1, 256),
    default=10,
    show_default=True,
    metavar="N",
    help="Changes performed at a time.",
)
@click.option(
    "--lock-timeout",
    type=DurationType(),
    default="0s",
    show_default=True,
    metavar="DURATION",
    help="Wait so long, such as 30s or 5m, for a lock that somebody else holds.",
)
@format_option(Format.TEXT, Format.MARKDOWN, Format.JSON)
def command(  # noqa: PLR0913 - one parameter an option
    *,
    file: Path | None,
    stage: str | None,
    only: tuple[Address, ...],
    retry: tuple[Address, ...],
    yes: bool,
    effect: str | None,
    allow_deletes: int | None,
    reason: str,
    parallel: int,
    lock_timeout: float,
) -> Exit:
    """Make a stage as Git declares it.

    With FILE, a plan that `mlops plan --out FILE` saved, exactly that plan is applied, or nothing: where Git, the
    ledger or a live object has moved, the plan is stale (exit code 4). Ctrl-C stops cleanly; a second one stops at
    once.
    """
    if file is not None and (only or retry):
        raise click.UsageError("A plan file says itself what it is narrowed to: leave --only and --retry out.")
    streams = terminal()
    reviewed = _read(file) if file is not None else None
    agreed = yes or reviewed is not None or effect is not None
    shown = stage or (reviewed.stage if reviewed is not None else "STAGE")
    require_consent(streams, agreed=agreed, command=f"mlops apply --stage {shlex.quote(shown)} --yes")
    workspace = open_here()
    chosen = choose_stage(stage or (reviewed.stage if reviewed is not None else None), workspace.stages)

    from mlops.pipeline.applying import ApplyRequest, apply
    from mlops.pipeline.planning import Selection

    selection = Selection(frozenset(only), frozenset(retry))
    if reviewed is not None:
        selection = Selection(frozenset(reviewed.only), frozenset(reviewed.retry))
    request = ApplyRequest(selection, reviewed, effect, allow_deletes, reason, parallel, lock_timeout)
    with conducting(streams, agreed=agreed, question=f"Apply this to {chosen}?") as conduct:
        applied = apply(workspace, chosen, request, conduct)
    if not applied.confirmed:
        streams.say("Nothing was changed.")
        return Exit.FAILED
    show_results(streams, chosen, applied.results, applied.exit_code)
    return applied.exit_code


def _read(file: Path) -> Plan:
    from mlops.plan.file import read_plan

    return read_plan(file.read_bytes(), str(file))

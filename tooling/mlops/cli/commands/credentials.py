"""`mlops credentials`."""

from __future__ import annotations

import click

from mlops.cli.completing import endpoints
from mlops.cli.options import choose_stage, format_option, open_here, reason_option, stage_option, terminal
from mlops.cli.terminal import Format

_KEYS = click.Choice(["primary", "secondary"])


@click.command("credentials")
@click.argument("endpoint", shell_complete=endpoints)
@stage_option()
@click.option("--key", type=_KEYS, help="Print this key and nothing else, for a script.")
@click.option("--token", is_flag=True, help="Print a new token and nothing else, for a script.")
@click.option(
    "--regenerate",
    type=click.Choice(["primary", "secondary", "signing"]),
    help="Make this secret anew; an old key is refused from now on, tokens of an old signing key live on.",
)
@click.option("--revoke", is_flag=True, help="With --regenerate signing: believe no token that was issued so far.")
@reason_option()
@format_option(Format.TEXT, Format.JSON)
def command(  # noqa: PLR0913 - one option each
    *, endpoint: str, stage: str | None, key: str | None, token: bool, regenerate: str | None, revoke: bool, reason: str
) -> None:
    """Print what opens an endpoint: its keys, or a token.

    ENDPOINT is its name or its address. With auth_mode key these are two keys, of which one can be made anew while
    callers use the other; with aml_token it is a token that expires soon. They go to standard output, and no plan,
    ledger or log ever holds them; that one was made anew, by whom and why, is in the ledger.
    """
    if token and key:
        raise click.UsageError("A token is no key: ask for --token or for --key.")
    if revoke and regenerate != "signing":
        raise click.UsageError("Tokens are revoked with their key: write --regenerate signing --revoke.")
    workspace = open_here()
    chosen = choose_stage(stage, workspace.stages)

    from mlops.driver import KeyType
    from mlops.pipeline import credentials as pipeline
    from mlops.pipeline.reaching import endpoint_address
    from mlops.reports import credentials as report

    streams = terminal()
    address = endpoint_address(workspace, chosen, endpoint)
    if regenerate:
        found = pipeline.regenerate(workspace, chosen, address, KeyType(regenerate), revoke=revoke, reason=reason)
        streams.say(f"The {regenerate} key of {address} is a new one.")
    else:
        found = pipeline.credentials(workspace, chosen, address)
    pipeline.check_has(found, key=key is not None, token=token)
    if streams.format is Format.JSON:
        streams.result(report.render_credentials_json(address, found.mode, found.keys, found.token))
    else:
        streams.result(report.render_credentials(found.keys, found.token, KeyType(key) if key else None))

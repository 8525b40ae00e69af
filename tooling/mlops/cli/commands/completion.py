"""`mlops completion`."""

from __future__ import annotations

import click

from mlops.cli.options import terminal


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes commands in your shell.

    Bash: `mlops completion bash > ~/.local/share/bash-completion/completions/mlops`.
    Zsh: `mlops completion zsh > "${fpath[1]}/_mlops"`.
    Fish: `mlops completion fish > ~/.config/fish/completions/mlops.fish`.
    """
    from click.shell_completion import get_completion_class

    from mlops.cli.root import COMPLETE, root

    made = get_completion_class(shell)
    if made is None:
        raise click.BadParameter(shell)
    terminal().result(made(root, {}, "mlops", COMPLETE).source() + "\n")

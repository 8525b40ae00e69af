"""Help is there for everything, is quick, and is the same everywhere."""

from __future__ import annotations

import subprocess
import sys

import click

from mlops.cli.root import COMMANDS

Commands = dict[tuple[str, ...], click.Command]

HEAVY = ("pydantic", "httpx", "rich", "ruamel", "git", "uv", "asyncio", "sqlite3", "mlops.pipeline", "mlops.drivers")
"""What a process that only prints help has no use for."""


def test_every_command_and_option_has_help(every_command: tuple[str, ...], commands: Commands) -> None:
    command = commands[every_command]
    assert command.help
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_every_help_is_sentences_that_fit(every_command: tuple[str, ...], commands: Commands) -> None:
    command = commands[every_command]
    first = (command.help or "").splitlines()[0]
    assert first.endswith((".", ":"))
    if len(every_command) > 1:
        assert "..." not in command.get_short_help_str(limit=66)


def test_every_option_is_explained_with_its_value(every_command: tuple[str, ...], commands: Commands) -> None:
    for parameter in commands[every_command].params:
        if (
            isinstance(parameter, click.Option)
            and not parameter.is_flag
            and not isinstance(parameter.type, click.Choice)
        ):
            assert parameter.metavar, parameter.name


def test_the_table_of_commands_says_what_each_says_of_itself(top_command: str, commands: Commands) -> None:
    said = (commands[(top_command,)].help or "").splitlines()[0]
    table = COMMANDS[top_command]
    assert table.removesuffix(".") in said or table.partition(";")[0].removesuffix(".") in said


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom mlops.cli.running import run\nstatus = run(['--help'])\n"
        "print('\\n'.join(sorted(sys.modules)), file=sys.stderr)\nsys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_help_lists_every_command() -> None:
    done = subprocess.run([sys.executable, "-m", "mlops", "--help"], capture_output=True, text=True, check=True)
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)
    assert done.stderr == ""

"""The command line as a process, and as a tree of commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from mlops.cli.root import COMMANDS, root

Mlops = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def mlops(tmp_path: Path) -> Mlops:
    """Run a command line in an empty folder."""

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mlops", *arguments]
        folder = options.pop("cwd", tmp_path)
        if not isinstance(folder, Path) or options:
            raise TypeError(options)
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    return run


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from walk(found, (*path, name))


EVERY = dict(walk(root))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask for `every_command` to be called with each."""
    if "every_command" in metafunc.fixturenames:
        paths = list(EVERY)
        metafunc.parametrize("every_command", paths, ids=[" ".join(("mlops", *path)) for path in paths])
    if "top_command" in metafunc.fixturenames:
        metafunc.parametrize("top_command", list(COMMANDS))


@pytest.fixture
def commands() -> dict[tuple[str, ...], click.Command]:
    """Every command by the words that call it."""
    return EVERY

"""Streams and exit codes, whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops import __version__

Mlops = Callable[..., subprocess.CompletedProcess[str]]


def test_the_version_is_a_result(mlops: Mlops) -> None:
    done = mlops("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mlops {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pln"], 'There is no command "pln". Did you mean "plan"?'),
        (["plan", "--stag", "dev"], "Did you mean '--stage'?"),
        (["plan", "--format", "xml"], "'xml' is not one of"),
        (["plan", "--only", "digits"], '"digits" is not of the form kind/name.'),
        (["apply", "--effect", "abc"], "is not a digest"),
        (["apply", "--allow-deletes", "-1"], "-1 is not in the range"),
        (["apply", "no-such-file"], "does not exist"),
        (["history", "--at", "soon"], '"soon" is no point in time.'),
        (["model", "register"], "Missing argument"),
        (["model", "tag", "a:1"], "Say what to change"),
        (["model", "tag", "a:1", "b=1", "b=2"], '"b" has two values, "1" and "2".'),
        (["model", "tag", "a:1", "b=1", "--remove", "b"], '"b" is given a value and removed.'),
        (["model", "register", "a", ".", "--tag", "b=1", "--tag", "b=2"], '"b" has two values'),
        (["model", "register", "a", ".", "--metric", "b=1", "--metric", "b=2"], '"b" has two values'),
        (["schema", "--check"], "--check needs --out DIR"),
        (["--directory", "/no/such/folder", "plan"], "does not exist"),
    ],
)
def test_wrong_usage_is_64_and_says_how_it_is_used(mlops: Mlops, arguments: list[str], said: str) -> None:
    done = mlops(*arguments)
    assert done.returncode == 64
    assert done.stdout == ""
    assert done.stderr.startswith("error: Wrong usage\n  ")
    assert said in done.stderr
    assert "      mlops" in done.stderr
    assert " --help\n" in done.stderr


@pytest.mark.parametrize("words", [(), ("model",)])
def test_without_a_command_there_is_the_help_and_no_result(mlops: Mlops, words: tuple[str, ...]) -> None:
    done = mlops(*words)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("Usage: mlops")


def test_outside_of_a_repository_it_says_where_it_looked(mlops: Mlops, tmp_path: Path) -> None:
    done = mlops("plan")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: No mlops.yaml\n")
    assert str(tmp_path.resolve()) in done.stderr
    assert "      mlops init DIR\n" in done.stderr


def test_errors_are_json_lines_on_stderr_where_json_is_wanted(mlops: Mlops) -> None:
    done = mlops("plan", "--format", "json")
    problem = json.loads(done.stderr)
    assert done.stdout == ""
    assert (problem["level"], problem["summary"], problem["exit_code"]) == ("error", "No mlops.yaml", 1)
    wrong = mlops("plan", "--format", "json", "--nope")
    assert json.loads(wrong.stderr)["exit_code"] == 64


def _run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | environment
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environ)


_ADDED = """
import sys, click
from mlops.cli import root as tree
from mlops.cli.options import terminal
from mlops.cli.running import run
from mlops.errors import *

@click.command("added")
def added():
    {body}
class Tree(tree.LazyGroup):
    def get_command(self, ctx, name):
        return added if name == "added" else super().get_command(ctx, name)
    def resolve_command(self, ctx, args):
        return "added", added, args[1:]
tree.root.__class__ = Tree
sys.exit(run({arguments}))
"""
"""A program: the real tree of commands, and one more that does what a test needs."""


def _added(body: str, *options: str) -> str:
    return _ADDED.format(body=body, arguments=[*options, "added"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("InvalidRepository", 1),
        ("InvalidPlan", 1),
        ("StalePlan", 4),
        ("Blocked", 5),
        ("Waiting", 6),
        ("Locked", 7),
        ("TargetError", 1),
        ("NotFound", 1),
        ("Interrupted", 130),
    ],
)
def test_every_error_of_ours_has_its_exit_code_and_no_traceback(error: str, code: int) -> None:
    done = _run(_added(f"raise {error}(Diagnostic('Summary', 'detail'))"))
    assert done.returncode == code
    assert done.stderr == "error: Summary\n  detail\n"


def test_what_is_not_ours_keeps_its_traceback_and_is_called_a_bug() -> None:
    done = _run(_added("raise KeyError('lost')"))
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "KeyError: 'lost'" in done.stderr
    assert "This is a bug in mlops" in done.stderr


def test_an_interrupt_is_130_and_one_line() -> None:
    done = _run(_added("raise KeyboardInterrupt"))
    assert (done.returncode, done.stderr) == (130, "error: Interrupted\n")


def test_an_exit_code_is_what_the_command_returns() -> None:
    assert _run(_added("return Exit.DRIFT")).returncode == 3


def test_a_reader_that_went_away_is_no_error() -> None:
    code = _added("[terminal().result('x' * 70000) for _ in range(9)]; return Exit.CHANGES")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1) == b"x"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 2


def test_a_result_that_cannot_be_written_is_an_error_and_no_bug() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = [sys.executable, "-c", _added("terminal().result('r\\n'); return Exit.DONE")]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Cannot write the result\n  Standard output: No space left on device.\n")


def test_talk_that_nobody_can_hear_stops_nothing() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = [sys.executable, "-c", _added("terminal().say('talk'); terminal().result('r\\n'); return Exit.DRIFT")]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "r\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_streams_may_be_closed(closed: str) -> None:
    code = _added("terminal().say('talk'); terminal().result('r'); return Exit.DRIFT")
    command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_what_an_encoding_cannot_say_is_escaped() -> None:
    body = "terminal().result('1 \\u2192 2\\n'); terminal().say('\\u2192')"
    done = _run(_added(body), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 \\u2192 2\n", "\\u2192\n")


def test_quiet_says_nothing_but_the_result_warnings_and_errors() -> None:
    body = "t = terminal(); t.say('talk'); t.warn(Diagnostic('Careful')); t.result('r\\n')"
    done = _run(_added(body, "--quiet"))
    assert (done.stdout, done.stderr) == ("r\n", "warning: Careful\n")

"""What README and docs show is what happens: every YAML snippet is checked, every command is run or at least exists.

A `yaml` block names its file in its first line. A `console` block is run line by line, in a folder that a comment
before it opens: `<!-- in: an empty folder -->`, `<!-- in: a new repository -->` (as `mlops init` makes it) or
`<!-- in: this repository -->`; blocks that follow go on in the same folder. `<!-- before: COMMAND -->` runs a command
that is not shown, `<!-- exit: 3 -->` expects a command's failure. What is shown below a command is its stdout, or its
stderr where that is empty; a line `…` stands for any lines. Digests, times and ports are compared by their shape.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest
from tests.e2e.laptop import MLOPS, Laptop

from mlops.cli.root import root as tree
from mlops.errors import Diagnostic
from mlops.loader.plain import read_plain
from mlops.resolve import merge_patch
from mlops.resource import JSON
from mlops.schemas.check import check_document
from mlops.schemas.kinds import DocumentKind

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCE = re.compile(
    r"^```(?P<language>\w*)\n(?P<body>.*?)^```$|^<!-- (?P<key>in|before|exit): (?P<value>.+?) -->$",
    re.MULTILINE | re.DOTALL,
)
_INLINE = re.compile(r"`(mlops(?: [^`]+)?)`|^(mlops [^\n]+)$", re.MULTILINE)

_SHAPES = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?Z"), "TIME"),
    (re.compile(r"\b(?:[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{12})\b"), "DIGEST"),
    (re.compile(r"127\.0\.0\.1:\d+"), "LOOPBACK"),
)


@dataclass
class Block:
    """A fenced block, with what comments say about it.

    Attributes:
        language: As after the fence.
        body: Its lines.
        folder: The folder to open first; empty: go on in the one that is open.
        before: Commands to run before it.
        exit: The exit code of its commands.
    """

    language: str
    body: str
    folder: str = ""
    before: list[str] = field(default_factory=list)
    exit: int = 0


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    block = Block("", "")
    for found in _FENCE.finditer(page.read_text(encoding="utf-8")):
        match found["key"]:
            case "in":
                block.folder = found["value"]
            case "before":
                block.before.append(found["value"])
            case "exit":
                block.exit = int(found["value"])
            case _:
                block.language, block.body = found["language"], found["body"]
                yield block
                block = Block("", "")


def _normalised(text: str) -> list[str]:
    for pattern, name in _SHAPES:
        text = pattern.sub(name, text)
    lines = [re.sub(r" {2,}", "  ", line.rstrip()) for line in text.strip("\n").split("\n")]
    return [line for line in lines if line]


def _matches(shown: list[str], said: list[str]) -> bool:
    """Whether what was said is what is shown; `…` is any lines."""
    if not shown:
        return not said
    if shown[0] == "…":
        return any(_matches(shown[1:], said[skip:]) for skip in range(len(said) + 1))
    return bool(said) and shown[0] == said[0] and _matches(shown[1:], said[1:])


def _commands(body: str) -> Iterator[tuple[str, str]]:
    """Each command with the lines that are shown below it."""
    command, shown = "", ""
    for line in body.splitlines(keepends=True):
        if line.startswith("$ "):
            if command:
                yield command, shown
            command, shown = line[2:].rstrip("\n"), ""
        else:
            shown += line
    if command:
        yield command, shown


class Shell:
    """The folders of one page's commands."""

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        self.folders: list[Path] = []
        self.environment = os.environ | {
            "PATH": f"{MLOPS.parent}:{os.environ['PATH']}",
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "user.name",
            "GIT_CONFIG_VALUE_0": "Ada",
            "GIT_CONFIG_KEY_1": "user.email",
            "GIT_CONFIG_VALUE_1": "ada@example.org",
        }

    def open(self, kind: str) -> None:
        """Begin a folder."""
        folder = self.parent / f"{len(self.folders)}" / "greetings"
        folder.parent.mkdir()
        self.folders.append(folder)
        match kind:
            case "an empty folder":
                folder.mkdir()
            case "a new repository":
                command = [str(MLOPS), "--quiet", "init", str(folder)]
                subprocess.run(command, check=True, env=self.environment, capture_output=True)
            case "this repository":
                copy_repository(folder)
            case _:
                raise AssertionError(f"unknown folder: {kind}")

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command line."""
        if not self.folders:
            self.open("an empty folder")
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folders[-1],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def close(self) -> None:
        """End what commands have left running."""
        for folder in self.folders:
            for repository in {path.parent for path in folder.glob("**/mlops.yaml")} | {folder}:
                Laptop(repository).close()


def copy_repository(folder: Path) -> None:
    """This repository as it is on disk, in one commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_console_block_says_what_happens(page: Path, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    try:
        for block in blocks(page):
            if block.language == "console":
                _run(shell, block)
    finally:
        shell.close()


def _run(shell: Shell, block: Block) -> None:
    if block.folder:
        shell.open(block.folder)
    for command in block.before:
        assert shell.run(command).returncode == 0, command
    for command, shown in _commands(block.body):
        done = shell.run(command)
        assert done.returncode == block.exit, f"$ {command}\n{done.stdout}{done.stderr}"
        if shown.strip():
            said = done.stdout or done.stderr
            assert _matches(_normalised(shown), _normalised(said)), f"$ {command}\n{said}"


_MINIMAL: dict[DocumentKind, JSON] = {
    DocumentKind.PROJECT: {"project": "demo", "stages": {"dev": {}}},
    DocumentKind.MODEL: {"sha256": "a" * 64},
    DocumentKind.TOMBSTONES: {},
    DocumentKind.ENVIRONMENT: {},
    DocumentKind.BASE: {},
    DocumentKind.ENDPOINT: {"deployments": {}, "compute": "here"},
}
"""What a snippet need not say, because it is about something else."""


def _kind(file: str) -> DocumentKind:
    parts = file.split("/")
    match parts:
        case ["mlops.yaml"]:
            return DocumentKind.PROJECT
        case ["models", _, "tombstones.yaml"]:
            return DocumentKind.TOMBSTONES
        case ["models", _, _]:
            return DocumentKind.MODEL
        case ["environments", _, _]:
            return DocumentKind.ENVIRONMENT
        case ["endpoints", _, "endpoint.yaml"]:
            return DocumentKind.BASE
        case ["endpoints", _, _]:
            return DocumentKind.ENDPOINT
        case _:
            raise AssertionError(f"the first line of a yaml block names its file; this one says {file!r}")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_yaml_block_is_valid(page: Path, tmp_path: Path) -> None:
    bases: dict[str, JSON] = {}
    for block in blocks(page):
        if block.language != "yaml":
            continue
        file = block.body.partition("\n")[0].removeprefix("#").strip()
        kind = _kind(file)
        (tmp_path / "snippet.yaml").write_text(block.body, encoding="utf-8")
        data = read_plain(tmp_path, "snippet.yaml")
        assert not isinstance(data, Diagnostic), f"{file}: {data}"
        folder = file.rpartition("/")[0]
        if kind is DocumentKind.BASE:
            bases[folder] = data
        base = bases.get(folder, _MINIMAL[kind]) if kind is DocumentKind.ENDPOINT else _MINIMAL[kind]
        checked = check_document(kind, merge_patch(base, data))
        assert not checked.problems, f"{file}: {checked.problems}"


def _known(words: list[str]) -> Iterator[str]:
    """What of a command line does not exist."""
    command: click.Command = tree
    for word in words:
        name = word.partition("=")[0]
        options = {opt for p in command.params for opt in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
        if name.startswith("-") and name != "-":
            if name not in options:
                yield name
        elif isinstance(command, click.Group) and not word.isupper():
            found = command.get_command(click.Context(command), word)
            if found is None:
                yield word
                return
            command = found


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = [first or second for first, second in _INLINE.findall(text)]
    named += [
        c for b in blocks(page) if b.language == "console" for c, _ in _commands(b.body) if c.startswith("mlops ")
    ]
    for line in named:
        words = shlex.split(line.partition(" > ")[0].partition(" | ")[0].partition("#")[0])[1:]
        values = _without_values(words)
        assert list(_known(values)) == [], line


def _without_values(words: list[str]) -> list[str]:
    """A command line without the values of its options, which may look like commands."""
    kept: list[str] = []
    takes = {"-C", "--directory", "-s", "--stage", "-m", "--reason"}
    skip = False
    for word in words:
        if not skip:
            kept.append(word)
        skip = word in takes
    return kept


def test_the_table_of_exit_codes_is_the_one_in_the_code() -> None:
    from mlops.errors import PRECEDENCE, Exit  # noqa: PLC0415 - beside the only use

    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)] == sorted(int(code) for code in Exit)
    order = ", ".join(str(int(code)) for code in PRECEDENCE if code is not Exit.DONE)
    assert f"the first of {order} decides" in text


def test_every_command_is_in_the_page_of_commands() -> None:
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert [name for name in tree.list_commands(click.Context(tree)) if f"mlops {name}" not in text] == ["logs"]

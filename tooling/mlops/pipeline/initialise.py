"""`mlops init`: a new repository whose own `validate` and `apply` succeed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mlops import __version__
from mlops.errors import Blocked, Diagnostic, MlopsError, TargetError
from mlops.pipeline.new_repository import new_files
from mlops.schemas.names import NameKind, check_name, is_name

_TOOLKIT = ("mlops-gitops", "mlops-scoring")
_EXTRAS = {"mlops-gitops": "[local]"}


@dataclass(frozen=True, slots=True)
class Initialised:
    """A new repository.

    Attributes:
        project: Its id.
        files: What was written, relative to the folder.
        warnings: What could not be done and has to be done by hand.
    """

    project: str
    files: tuple[str, ...]
    warnings: tuple[Diagnostic, ...] = ()


def _project(directory: Path, wanted: str | None) -> str:
    """The project's id: as asked for, or made from the folder's name.

    Raises:
        Blocked: It is no id.
    """
    if wanted is None:
        made = re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower())[:24].strip("-")
        return made if is_name(NameKind.PROJECT, made) else "models"
    try:
        return check_name(NameKind.PROJECT, wanted)
    except ValueError as error:
        raise Blocked(Diagnostic("Not a project id", str(error), todo="Choose another with --project.")) from None


def requirement(name: str) -> str:
    """The requirement by which pip installs a distribution as it is installed here (PEP 610's direct_url.json)."""
    extras = _EXTRAS.get(name, "")
    try:
        text = metadata.distribution(name).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return f"{name}{extras}=={__version__}"
    if text is None:
        return f"{name}{extras}=={metadata.version(name)}"
    direct = json.loads(text)
    url = str(direct["url"])
    version_control = direct.get("vcs_info")
    if version_control:
        url = f"{version_control['vcs']}+{url}@{version_control['commit_id']}"
    if folder := direct.get("subdirectory"):
        url = f"{url}#subdirectory={folder}"
    return f"{name}{extras} @ {url}"


def _refuse_used(directory: Path) -> None:
    used = directory.exists() and (not directory.is_dir() or any(p.name != ".git" for p in directory.iterdir()))
    if used:
        raise Blocked(
            Diagnostic(
                "The folder is not empty",
                f"{directory} holds files already, and nothing of yours is written over.",
                todo="Name a new folder:",
                command="mlops init my-models",
            )
        )


def _git(directory: Path, *arguments: str) -> str:
    """Run git in the new folder.

    Raises:
        TargetError: It is not installed, or refused.
    """
    command = ["git", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    except FileNotFoundError:
        raise TargetError(Diagnostic("Git is not installed", "There is no git on PATH.", todo="Install it.")) from None
    if done.returncode != 0:
        detail = f"git {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}"
        raise TargetError(Diagnostic("Git refused", detail))
    return done.stdout


def _is_in_git(directory: Path) -> bool:
    try:
        return _git(directory, "rev-parse", "--is-inside-work-tree").strip() == "true"
    except TargetError:
        return False


@contextmanager
def _in_git(directory: Path, warnings: list[Diagnostic]) -> Iterator[None]:
    """Make the folder a Git repository where it is in none, and commit what the block makes in it.

    Nothing that Git lacks, such as an identity, keeps the files from being made: it becomes a warning.
    """
    begun = False
    try:
        if not _is_in_git(directory):
            _git(directory, "init", "--quiet", "--initial-branch=main")
            begun = True
        yield
        if begun:
            _git(directory, "add", "--all")
            _git(directory, "commit", "--quiet", "--message", "Begin: a model, an environment and an endpoint")
    except TargetError as error:
        detail = error.diagnostics[0].detail
        command = f"cd {shlex.quote(str(directory))} && git add --all && git commit -m Begin"
        warnings.append(Diagnostic("No first commit", detail, todo="Mend that, and make it yourself:", command=command))


def _lock(directory: Path, warnings: list[Diagnostic]) -> Iterator[str]:
    """Lock the new environment; what keeps it from being locked is a warning with the command that does it later."""
    from mlops.pipeline.environments import lock_environment  # noqa: PLC0415 - after the files are there

    try:
        yield lock_environment(directory, "plain:1").path
    except MlopsError as error:
        problem = error.diagnostics[0]
        detail = f"{problem.summary}: {problem.detail}"
        todo = "Mend that, and lock it yourself before the first apply:"
        command = "mlops environment lock plain:1"
        warnings.append(Diagnostic("The environment is not locked", detail, todo=todo, command=command))


def _write(directory: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        path = directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="\n")
        except OSError as error:
            raise TargetError(Diagnostic("Cannot write", f"{path}: {error.strerror}.")) from error


def initialise(directory: Path, project: str | None = None) -> Initialised:
    """Write a new repository.

    Args:
        directory: A folder that is new or empty; a `.git` in it is left alone.
        project: The project's id; None: made from the folder's name.

    Raises:
        Blocked: The folder is not empty, or the id is none.
        TargetError: The files cannot be written.
    """
    from mlops.pipeline.schema import schemas  # noqa: PLC0415 - pydantic comes with it

    _refuse_used(directory)
    named = _project(directory, project)
    files = dict(new_files(named, tuple(map(requirement, _TOOLKIT))))
    files |= {f"schemas/{name}": content for name, content in schemas().items()}
    warnings: list[Diagnostic] = []
    _write(directory, files)
    with _in_git(directory, warnings):
        locked = tuple(_lock(directory, warnings))
    return Initialised(named, tuple(sorted((*files, *locked))), tuple(warnings))

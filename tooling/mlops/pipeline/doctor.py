"""`mlops doctor`: what would keep an apply from succeeding, before the first write."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import MlopsError
from mlops.pipeline.history import ledger_of
from mlops.pipeline.validate import validate
from mlops.pipeline.workspace import PRIVATE, Workspace, find_root, open_workspace
from mlops.reports.findings import Finding, Verdict
from mlops.reports.values import plural, size_text
from mlops.resource import SHARED
from mlops.uv import find_uv

_LOW = 1024**3
_EMPTY = 100 * 1024**2
"""Bytes of free disk space: a virtual environment with scikit-learn takes about 300 MB."""

_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTER_SIZE = 1024
"""A Git LFS pointer begins so and is smaller than this (the pointer format of git-lfs)."""

Check = Callable[["_Site"], Iterator[Finding]]


@dataclass(frozen=True)
class _Site:
    """What is examined.

    Attributes:
        root: The folder of mlops.yaml.
        workspace: The opened repository; None where it cannot be opened.
    """

    root: Path
    workspace: Workspace | None


def _ok(check: str, detail: str) -> Finding:
    return Finding(check, Verdict.OK, detail)


def _failed(check: str, error: MlopsError, verdict: Verdict = Verdict.BAD) -> Iterator[Finding]:
    for problem in error.diagnostics:
        where = f"{problem.where}: " if problem.where is not None else ""
        detail = f"{where}{problem.summary}. {problem.detail}".strip()
        yield Finding(check, verdict, detail, problem.todo, problem.command)


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, errors="replace", timeout=60)


def _check_python(_site: _Site) -> Iterator[Finding]:
    yield _ok("python", f"{platform.python_version()} on {sys.platform} {platform.machine()}")


def _check_git(site: _Site) -> Iterator[Finding]:
    version = _git(site.root, "--version").stdout.strip()
    if site.workspace is None:
        yield _ok("git", version)
        return
    actor = site.workspace.git.actor()
    said = f"{version}; you are {actor}, from {actor.source}"
    if not actor.email:
        yield Finding(
            "git", Verdict.WARNING, said, "Records should say who you are:", "git config user.email YOU@EXAMPLE.COM"
        )
    else:
        yield _ok("git", said)


def _check_access(site: _Site) -> Iterator[Finding]:
    """Whether there can be written what an apply writes: objects and refs of the ledger, and what runs here."""
    private = site.root / PRIVATE
    needed = [private if private.is_dir() else site.root]
    if site.workspace is not None:
        common = site.workspace.git.common_directory
        needed += [common / "objects", common / "refs"]
    closed = [str(folder) for folder in needed if not os.access(folder, os.W_OK | os.X_OK)]
    if closed:
        said = f"{', '.join(closed)} cannot be written"
        yield Finding("access", Verdict.BAD, said, "Here one can plan and look, not apply: mend the permissions.")
    else:
        yield _ok("access", f"{PRIVATE} and the ledger can be written")


def _check_private(site: _Site) -> Iterator[Finding]:
    ignored = _git(site.root, "check-ignore", "--quiet", f"{PRIVATE}/cache").returncode == 0
    if ignored:
        yield _ok("private files", f"Git ignores {PRIVATE}/")
    else:
        yield Finding(
            "private files",
            Verdict.BAD,
            f"Git does not ignore {PRIVATE}/, so `git add --all` would take in caches and what runs on this machine.",
            "Ignore it:",
            f"echo {PRIVATE}/ >> .gitignore",
        )


def _is_pointer(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size >= _POINTER_SIZE:
        return False
    return path.read_bytes().startswith(_POINTER)


def _check_pointers(site: _Site) -> Iterator[Finding]:
    found = (path for path in sorted((site.root / "models").rglob("*")) if _is_pointer(path))
    pointers = [path.relative_to(site.root).as_posix() for path in found]
    if pointers:
        shown = ", ".join(pointers[:3]) + (f" and {len(pointers) - 3} more" if len(pointers) > 3 else "")
        detail = f"{plural(len(pointers), 'file')} of models are Git LFS pointers without their content: {shown}"
        yield Finding("git lfs", Verdict.BAD, detail, "Fetch the content:", "git lfs pull")
    else:
        yield _ok("git lfs", "no pointer stands where content should")


def _check_remote(site: _Site) -> Iterator[Finding]:
    workspace = site.workspace
    if workspace is None:
        return
    remote = workspace.repository.ledger.get("remote")
    if not isinstance(remote, str):
        yield _ok("ledger", "stays in this clone")
        return
    if workspace.git.remote_url(remote) is None:
        detail = f'mlops.yaml names the remote "{remote}" for the ledger, and this clone has none of that name'
        yield Finding("ledger", Verdict.BAD, detail, "Add it:", f"git remote add {remote} URL")
        return
    found = _git(site.root, "ls-remote", "--heads", remote, "ledger/*")
    if found.returncode == 0:
        branches = plural(len(found.stdout.splitlines()), "ledger branch", "ledger branches")
        yield _ok("ledger", f"remote {remote} answers, with {branches}")
    else:
        yield Finding(
            "ledger",
            Verdict.BAD,
            f"remote {remote}: {found.stderr.strip()}",
            "Check the network and your access to it.",
        )


def _check_records(site: _Site) -> Iterator[Finding]:
    """Replay every ledger that is here: its records, its folded state and its specs."""
    workspace = site.workspace
    if workspace is None:
        return
    for stage in (SHARED, *workspace.stages):
        try:
            ledger = ledger_of(workspace, stage)
            problems = ledger.verify()
        except MlopsError as error:
            yield from _failed("records", error)
            continue
        for problem in problems:
            yield Finding("records", Verdict.BAD, f"{stage}: {problem.summary}. {problem.detail}", problem.todo)
        if not problems:
            count = ledger.state().sequence
            yield _ok("records", f"{stage}: {plural(count, 'record')}, all as they were written")


def _check_registry(site: _Site) -> Iterator[Finding]:
    if site.workspace is None:
        return
    try:
        count = sum(1 for _ in site.workspace.registry.observe())
    except MlopsError as error:
        yield from _failed("registry", error)
        return
    yield _ok("registry", f"{plural(count, 'object')}; `mlops model verify` reads every byte of them")


def _uses_local(workspace: Workspace | None) -> bool:
    return workspace is not None and any(o.get("type") == "local" for o in workspace.repository.computes.values())


def _check_uv(site: _Site) -> Iterator[Finding]:
    if not _uses_local(site.workspace):
        return
    try:
        yield _ok("uv", find_uv())
    except MlopsError as error:
        yield from _failed("uv", error)


def _check_ports(site: _Site) -> Iterator[Finding]:
    if site.workspace is None or not _uses_local(site.workspace):
        return
    from mlops.drivers.local.ports import DEFAULT_PORTS, is_free, parse_ports  # noqa: PLC0415 - only where `local` is used

    for name, options in site.workspace.repository.computes.items():
        if options.get("type") == "local":
            ports = parse_ports(str(options.get("ports", DEFAULT_PORTS)))
            free = sum(map(is_free, ports))
            said = f"{name}: {free} of {plural(len(ports), 'port')} from {ports.start} to {ports.stop - 1} are free"
            if free:
                yield _ok("ports", said)
            else:
                todo = f"New endpoints find none. Give computes.{name}.ports in mlops.yaml a wider range."
                yield Finding("ports", Verdict.WARNING, said, todo)


def _check_disk(site: _Site) -> Iterator[Finding]:
    free = shutil.disk_usage(site.root).free
    said = f"{size_text(free)} are free"
    if free >= _LOW:
        yield _ok("disk", said)
    else:
        verdict = Verdict.BAD if free < _EMPTY else Verdict.WARNING
        yield Finding("disk", verdict, said, "Make room: virtual environments and models need it.")


_CHECKS: tuple[Check, ...] = (
    _check_git,
    _check_access,
    _check_private,
    _check_pointers,
    _check_remote,
    _check_records,
    _check_registry,
    _check_uv,
    _check_ports,
    _check_disk,
)


def _open(root: Path) -> tuple[Workspace | None, tuple[Finding, ...]]:
    try:
        found = validate(root)
        workspace = open_workspace(root)
    except MlopsError as error:
        return None, tuple(_failed("files", error))
    if found.problems:
        first = found.problems[0]
        where = f"{first.where}: " if first.where is not None else ""
        detail = f"{plural(len(found.problems), 'problem')}; the first is {where}{first.summary}"
        return workspace, (Finding("files", Verdict.BAD, detail, "See all of them:", "mlops validate"),)
    return workspace, (_ok("files", f"project {workspace.project} with {plural(len(workspace.stages), 'stage')}"),)


def examine(directory: Path) -> tuple[Finding, ...]:
    """Look at the machine and the repository; nothing is changed.

    Args:
        directory: In the repository.

    Returns:
        One finding or more a check, in a fixed order.
    """
    found: list[Finding] = list(_check_python(_Site(directory, None)))
    if shutil.which("git") is None:
        return (*found, Finding("git", Verdict.BAD, "there is no git on PATH", "Install it."))
    try:
        root = find_root(directory)
    except MlopsError as error:
        return (*found, *_failed("files", error))
    workspace, files = _open(root)
    found += files
    site = _Site(root, workspace)
    for check in _CHECKS:
        try:
            found += check(site)
        except MlopsError as error:
            found += _failed(check.__name__.removeprefix("_check_"), error)
    return tuple(found)

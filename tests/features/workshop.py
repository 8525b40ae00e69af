"""A team's repository with computes in memory: what a person does in it, as functions."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlops.apply import Progress
from mlops.clock import SystemClock
from mlops.drivers.memory import MemoryTarget, target
from mlops.git import GitRepository
from mlops.pipeline.applying import Applied, ApplyRequest, Conduct, apply
from mlops.pipeline.planning import plan
from mlops.pipeline.workspace import Workspace, open_workspace
from mlops.plan import Plan
from mlops.resource import Address

_NUMBERS = itertools.count()

PROJECT = """\
project: shop
computes:
  here: {{type: memory, target: here-{number}}}
  there: {{type: memory, target: there-{number}}}
  live: {{type: memory, target: live-{number}}}
stages:
  dev: {{}}
  prod: {{branch: main, protect: true}}
"""
ENDPOINT = """\
type: online
auth_mode: none
deployments:
  blue: {environment: "plain:1"}
"""
ENVIRONMENT = "image: registry.example/plain:1\n"


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def model_files(name: str, version: str, content: str = "") -> dict[str, str]:
    """A model version with its file beside it."""
    data = f"weights of {name} {version} {content}\n"
    sha256 = hashlib.sha256(data.encode()).hexdigest()
    return {
        f"models/{name}/{version}.onnx": data,
        f"models/{name}/{version}.yaml": f"path: {version}.onnx\nsha256: {sha256}\nflavors: {{onnx: {{}}}}\n",
    }


class TurnedClock(SystemClock):
    """The machine's clock, which can be turned forward; and back, but for the uptime."""

    def __init__(self) -> None:
        self.wall = 0.0
        self.up = 0.0

    def time(self) -> float:
        return super().time() + self.wall

    def uptime(self) -> float:
        return super().uptime() + self.up

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.up += seconds


@dataclass
class Workshop:
    """One clone of a repository, and the person in front of it."""

    root: Path
    clock: TurnedClock = field(default_factory=TurnedClock)
    number: int = field(default_factory=lambda: next(_NUMBERS))
    progress: list[Progress] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def begin(cls, root: Path) -> Workshop:
        """A new repository with a project, an environment and no endpoint."""
        root.mkdir(parents=True, exist_ok=True)
        workshop = cls(root)
        git(root, "init", "-q")
        workshop.write(
            {
                "mlops.yaml": PROJECT.format(number=workshop.number),
                ".gitignore": ".mlops/\n",
                "environments/plain/1.yaml": ENVIRONMENT,
            }
        )
        workshop.commit("Begin")
        return workshop

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def remove(self, *names: str) -> None:
        for name in names:
            (self.root / name).unlink()

    def commit(self, message: str) -> str:
        git(self.root, "add", "-A")
        git(self.root, "commit", "-q", "--allow-empty", "-m", message)
        return git(self.root, "rev-parse", "HEAD")

    def add_model(self, reference: str, content: str = "") -> None:
        name, _, version = reference.partition(":")
        self.write(model_files(name, version, content))

    def declare(self, endpoint: str, stage: str, model: str, *, compute: str = "here", more: str = "") -> None:
        """Say which model an endpoint serves in a stage."""
        self.write(
            {
                f"endpoints/{endpoint}/endpoint.yaml": ENDPOINT,
                f"endpoints/{endpoint}/{stage}.yaml": (
                    f"compute: {compute}\ndeployments:\n  blue: {{model: {json.dumps(model)}}}\n{more}"
                ),
            }
        )

    def far(self, compute: str = "here") -> MemoryTarget:
        """The far side of a compute."""
        return target(f"{compute}-{self.number}")

    @contextmanager
    def opened(self, before: Callable[[Sequence[str]], None] | None = None) -> Iterator[Workspace]:
        """The repository as a command opens it; `before` is told of each of its Git processes."""
        workspace = open_workspace(self.root, clock=self.clock)
        with workspace.git:
            if before is None:
                yield workspace
                return
            with GitRepository.open(self.root, before=before) as watched:
                yield replace(workspace, git=watched)

    @property
    def conduct(self) -> Conduct:
        return Conduct(lambda _plan: True, self.progress.append, self.stop)

    def plan(self, stage: str = "dev", *, only: Iterable[Address] = ()) -> Plan:
        with self.opened() as workspace:
            return plan(workspace, stage, only=only)

    def apply(self, stage: str = "dev", request: ApplyRequest | None = None) -> Applied:
        with self.opened() as workspace:
            return apply(workspace, stage, request or ApplyRequest(), self.conduct)

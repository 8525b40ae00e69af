"""Repositories of any size, for us and for the peer."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

from mlops.lockfile import LockInput, server_requirements
from mlops.pipeline.lock_making import make_lock

ENVIRONMENT = "environments/plain/1"
"""An environment with nothing but the scoring server's own requirements."""

_NOTHING = LockInput((), None, (), server_requirements())

_SCORE = '''"""Answer with the length of the request."""


def init():
    pass


def run(data):
    return {"length": len(data)}
'''


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write files below a folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def commit(root: Path) -> None:
    """Make a folder a repository with one commit of everything in it."""
    identity = ["-c", "user.name=Bench", "-c", "user.email=bench@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*identity, "commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", *command], cwd=root, check=True)


def model(name: str, version: int, content: str) -> dict[str, str]:
    """The files of one model version."""
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    declared = f"description: {name}\npath: {version}.txt\nsha256: {sha256}\ntags: {{team: bench}}\n"
    return {f"models/{name}/{version}.yaml": declared, f"models/{name}/{version}.txt": content}


def endpoint(name: str, compute: str = "here") -> dict[str, str]:
    """The files of one endpoint that serves the first version of `m0` by an entry script."""
    return {
        f"endpoints/{name}/code/score.py": _SCORE,
        f"endpoints/{name}/endpoint.yaml": (
            "type: online\nauth_mode: none\n"
            "deployments:\n"
            "  main:\n"
            "    environment: plain:1\n"
            "    code_configuration: {code: code, scoring_script: score.py}\n"
        ),
        f"endpoints/{name}/dev.yaml": f"compute: {compute}\ndeployments:\n  main: {{model: 'm0:1'}}\n",
    }


def project(compute: str = "{type: local, ports: 8700-8719}") -> dict[str, str]:
    """`mlops.yaml` with one stage and one compute, and the environment."""
    return {
        "mlops.yaml": f"project: bench\ncomputes:\n  here: {compute}\nstages:\n  dev: {{}}\n",
        ".gitignore": ".mlops/\n",
        f"{ENVIRONMENT}.yaml": "description: The scoring server alone.\nrequirements: []\n",
        f"{ENVIRONMENT}.lock": make_lock("plain:1", _NOTHING),
    }


def models(count: int) -> dict[str, str]:
    """The files of many model versions, each with content of its own; ten versions a model."""
    files: dict[str, str] = {}
    for number in range(count):
        files |= model(f"m{number // 10}", number % 10 + 1, f"content {number}\n")
    return files


def terraform(count: int) -> str:
    """A configuration with as many distinct resources of the kind that is built into Terraform."""
    block = 'resource "terraform_data" "r{n}" {{\n  input = {{ name = "m{n}", version = "{n}", team = "bench" }}\n}}\n'
    return "".join(block.format(n=number) for number in range(count))

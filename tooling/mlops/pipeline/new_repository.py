"""The files of a new repository: small, real, and all of them meant to be replaced."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from mlops import __version__

_GREETING = '{"greeting": "Hello"}\n'

_PROJECT = """\
# yaml-language-server: $schema=schemas/project.schema.json
required_version: "=={version}"
project: {project}

# Where endpoints run. `local`: processes on this machine, reached through loopback only.
computes:
  local-dev: {{type: local}}

# A stage deploys the endpoints that have a file of its name. Add staging and prod when you have computes for them.
stages:
  dev: {{}}
"""

_MODEL = """\
# yaml-language-server: $schema=../../schemas/model.schema.json
description: A greeting. Register your own with `mlops model register NAME FILE`.
path: 1/greeting.json
sha256: {sha256}
tags: {{purpose: example}}
"""

_ENVIRONMENT = """\
# yaml-language-server: $schema=../../schemas/environment.schema.json
description: Plain Python; the scoring server brings what it needs itself.
requirements: []
"""

_ENDPOINT = """\
# yaml-language-server: $schema=../../schemas/endpoint.schema.json
type: online
auth_mode: none
description: Greets by name.
deployments:
  main:
    environment: plain:1
    code_configuration: {code: code, scoring_script: score.py}
sample_request:
  request: sample.json
  expected: {answer: "Hello, Ada!"}
rollout:
  strategy: canary
  weights: [10, 50]
"""

_DEV = """\
# yaml-language-server: $schema=../../schemas/stage.schema.json
compute: local-dev
deployments:
  main: {model: hello:1}
"""

_SCRIPT = '''\
"""Greets. An entry script as Azure ML defines it: init() loads the model once, run() answers a request."""

import json
import os
from pathlib import Path

_loaded = {}


def init():
    """Load the model before the first request."""
    path = Path(os.environ["AZUREML_MODEL_DIR"]) / "greeting.json"
    _loaded["greeting"] = json.loads(path.read_text())["greeting"]


def run(data):
    """Answer `{"name": "Ada"}`."""
    return {"answer": f"{_loaded['greeting']}, {json.loads(data)['name']}!"}
'''

_README = """\
# {project}

Models, environments and endpoints, declared in Git and applied with [mlops](pyproject.toml).

    python3 -m venv .venv && .venv/bin/pip install .
    .venv/bin/mlops doctor                # is this machine ready?
    .venv/bin/mlops plan --stage dev      # what would an apply do?
    .venv/bin/mlops apply --stage dev
    .venv/bin/mlops score hello
    .venv/bin/mlops history

| File | Says |
|---|---|
| `mlops.yaml` | the project, its computes and stages |
| `models/<model>/<version>.yaml` | one version of a model, with its sha256 |
| `environments/<name>/<version>.yaml` and `.lock` | one version of a software environment, locked with hashes |
| `endpoints/<name>/endpoint.yaml` | what all stages of an endpoint share |
| `endpoints/<name>/<stage>.yaml` | what one stage changes: compute, model, scale, traffic |

A promotion is one changed line in a stage file. `.mlops/` holds caches and what runs on this machine; it is not in Git.
"""

_PYPROJECT = """\
[project]
name = "{project}"
version = "0"
description = "Models, environments and endpoints, declared in Git."
requires-python = ">=3.11"
dependencies = [
{dependencies}
]

[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[tool.setuptools]
packages = [] # nothing is installed but the toolkit
"""

_IGNORED = """\
.mlops/
.venv/
__pycache__/
"""

_ATTRIBUTES = """\
# Digests name bytes, so Git must not change them.
models/** -text
environments/**/*.lock -text
endpoints/** -text
"""


def new_files(project: str, dependencies: tuple[str, ...]) -> Mapping[str, str]:
    """Path and content of every file of a new repository, but for the lock and the schemas.

    Args:
        project: The project's id.
        dependencies: Requirements by which pip installs this toolkit.
    """
    lines = "\n".join(f'    "{dependency}",' for dependency in dependencies)
    return {
        ".gitattributes": _ATTRIBUTES,
        ".gitignore": _IGNORED,
        "README.md": _README.format(project=project),
        "endpoints/hello/code/score.py": _SCRIPT,
        "endpoints/hello/dev.yaml": _DEV,
        "endpoints/hello/endpoint.yaml": _ENDPOINT,
        "endpoints/hello/sample.json": '{"name": "Ada"}\n',
        "environments/plain/1.yaml": _ENVIRONMENT,
        "mlops.yaml": _PROJECT.format(project=project, version=__version__),
        "models/hello/1.yaml": _MODEL.format(sha256=hashlib.sha256(_GREETING.encode()).hexdigest()),
        "models/hello/1/greeting.json": _GREETING,
        "pyproject.toml": _PYPROJECT.format(project=project, dependencies=lines),
    }

"""An endpoint, and the configuration of its supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops.drivers.local.configuration import Sources, Target, make_document
from mlops.drivers.local.rules import RULES
from mlops.resource import JSON, Spec, Stamp
from mlops.rollout import to_live

COLLECTED = Path("/collected/here")
STAMP = Stamp("project", "dev", "endpoint/digits@here", "0" * 64)


def declared(version: str = "1", **fields: JSON) -> dict[str, Any]:
    """An endpoint of one deployment, `blue`, as declared."""
    model: JSON = {"name": "digits", "version": version, "files": {"model.onnx": version * 64}, "flavors": {"onnx": {}}}
    deployment: dict[str, JSON] = {"model": model, "environment": {"name": "onnx", "version": "1", "lock": "a" * 64}}
    return {"auth_mode": "none", "deployments": {"blue": {**deployment, **fields}}, "traffic": {"blue": 100}}


def live(spec: Spec) -> Spec:
    """Its live form."""
    return to_live(spec, RULES)


def document(
    spec: Spec,
    current: Mapping[str, JSON] | None = None,
    sources: Sources | None = None,
    tls: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The configuration of its supervisor."""
    found = sources or Sources(Path("/usr/bin/env"), Path("/"), None)
    return dict(
        make_document(Target("digits", 8600, spec, STAMP, COLLECTED, tls or {}), current or {}, lambda _: found)
    )


def names(spec: Spec) -> list[str]:
    """Live names."""
    deployments = spec["deployments"]
    assert isinstance(deployments, Mapping)
    return list(deployments)

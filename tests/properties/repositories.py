"""Drawn repositories as real files in a real clone."""

from __future__ import annotations

import json
import shutil

from tests.features.workshop import Workshop
from tests.properties.estates import Declared, Estate
from tests.unit.engine.world import WEST

from mlops.resource import JSON


def _endpoint(declared: Declared) -> dict[str, JSON]:
    rollout = declared.rollout
    deployments: dict[str, JSON] = {}
    for name, served in declared.deployments.items():
        variables: JSON = {"MODE": served.variable} if served.variable is not None else {}
        deployments[name] = {
            "model": served.reference,
            "environment": "plain:1",
            "instance_count": served.count,
            "environment_variables": variables,
        }
    value: dict[str, JSON] = {
        "compute": "here" if declared.compute == WEST else "there",
        "deployments": deployments,
        "traffic": dict(declared.traffic),
        "rollout": {"strategy": rollout.strategy},
    }
    if rollout.strategy == "canary":
        value["rollout"] = {"strategy": "canary", "weights": list(rollout.weights)}
    if declared.tag is not None:
        value["tags"] = {"team": declared.tag}
    return value


def write(workshop: Workshop, estate: Estate) -> None:
    """Make the clone's work tree declare exactly this."""
    for folder in ("models", "endpoints"):
        shutil.rmtree(workshop.root / folder, ignore_errors=True)
    for reference in sorted(estate.models):
        workshop.add_model(reference)
    for name, declared in estate.endpoints.items():
        workshop.write(
            {
                f"endpoints/{name}/endpoint.yaml": "type: online\n",
                f"endpoints/{name}/dev.yaml": json.dumps(_endpoint(declared)),
            }
        )

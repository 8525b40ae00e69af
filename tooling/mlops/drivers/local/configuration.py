"""From an endpoint's spec in live form to the configuration document of its supervisor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlops.drivers.local.ports import HOST
from mlops.drivers.local.rules import RULES
from mlops.drivers.local.watching import make_gateway, make_sending, make_watching, mapping
from mlops.errors import Diagnostic, TargetError
from mlops.resource import JSON, FieldEffect, Spec, Stamp, canonical
from mlops.rules import rule_for, same

FORMAT = 1
"""Version of the supervisor's configuration document."""

OWNER = "stamp"
"""The opaque part of the document, where our stamp and the spec are kept for `observe`."""

REQUEST_SETTINGS: Mapping[str, JSON] = {
    "request_timeout_ms": 5000,
    "max_concurrent_requests_per_instance": 1,
    "max_queue_wait_ms": 500,
}
"""Defaults of Azure ML's `request_settings`, in milliseconds."""

PROBE: Mapping[str, JSON] = {
    "initial_delay": 10,
    "period": 10,
    "timeout": 2,
    "success_threshold": 1,
    "failure_threshold": 30,
}
"""Defaults of Azure ML's probes, in seconds."""

Document = Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the content of one deployment is on this machine.

    Attributes:
        python: The interpreter of its virtual environment.
        model: The folder of its model's files, if it has a model.
        code: Its code directory, if it has one.
    """

    python: Path
    model: Path | None
    code: Path | None


@dataclass(frozen=True, slots=True)
class Target:
    """What an endpoint is to become.

    Attributes:
        name: The endpoint's name.
        port: Its port.
        spec: In live form.
        stamp: Our stamp.
        collected: The folder for collected data.
        tls: The certificate and its key as absolute paths; empty for http.
    """

    name: str
    port: int
    spec: Spec
    stamp: Stamp
    collected: Path
    tls: Mapping[str, str] = field(default_factory=dict)


def make_document(
    target: Target, current: Document, prepare: Callable[[Mapping[str, JSON]], Sources]
) -> Mapping[str, JSON]:
    """The whole configuration of an endpoint.

    What is live already and has the same content keeps its entry, so that a newer toolkit, which would make other
    virtual environments, changes nothing that runs.

    Args:
        target: What it is to become.
        current: The document that holds now; empty where there is none.
        prepare: Makes a deployment's content available.

    Raises:
        TargetError: A deployment cannot be served here.
    """
    before = mapping(mapping(mapping(current.get(OWNER)).get("spec")).get("deployments"))
    entries: dict[str, JSON] = {}
    for name, value in mapping(target.spec.get("deployments")).items():
        deployment = mapping(value)
        entry = mapping(mapping(current.get("deployments")).get(name))
        if entry and same(content(name, deployment), content(name, mapping(before.get(name)))) and is_there(entry):
            made = {key: value for key, value in entry.items() if key != "telemetry"}
        else:
            made = dict(make_entry(deployment, prepare(deployment), target.collected))
        entries[name] = {**made, **_changing(deployment, target.spec)}
    aliases = make_aliases(target.spec, mapping(current.get("aliases")))
    document: Mapping[str, JSON] = {
        "format": FORMAT,
        "endpoint": target.name,
        "host": HOST,
        "port": target.port,
        OWNER: _owner(target),
        "traffic": make_traffic(target.spec, aliases),
        "aliases": aliases,
        "deployments": entries,
        **make_gateway(target.spec, target.tls),
    }
    return mapping(json.loads(canonical(document)))


def _changing(deployment: Mapping[str, JSON], spec: Spec) -> dict[str, JSON]:
    """What may be another under the same live name."""
    sending = make_sending(deployment, spec)
    return {"instance_count": instance_count(deployment), **({"telemetry": sending} if sending else {})}


def _owner(target: Target) -> Mapping[str, JSON]:
    """Ours, for `observe`: the paths of `tls` beside the spec, because on another machine the spec names others."""
    owner: dict[str, JSON] = {**target.stamp.to_json(), "spec": target.spec}
    return {**owner, "tls": dict(target.tls)} if target.tls else owner


def make_entry(deployment: Mapping[str, JSON], sources: Sources, collected: Path) -> Mapping[str, JSON]:
    """One deployment of the document, but for what may be another under the same live name.

    Args:
        deployment: In live form.
        sources: Where its content is.
        collected: The folder for collected data.

    Raises:
        TargetError: It has neither a scoring script nor a model that is served without one.
    """
    code = mapping(deployment.get("code"))
    model = mapping(deployment.get("model"))
    pickles = mapping(deployment.get("pickles"))
    variables = {
        **mapping(mapping(deployment.get("environment")).get("variables")),
        **mapping(deployment.get("environment_variables")),
    }
    return {
        "python": str(sources.python),
        "runtime": runtime(deployment),
        "model_directory": str(sources.model) if sources.model else None,
        "model_files": dict(mapping(model.get("files"))),
        "code_directory": str(sources.code) if sources.code else None,
        "scoring_script": code.get("scoring_script"),
        "environment_variables": {key: str(value) for key, value in variables.items()},
        "pickle_policy": {"formats": pickles.get("formats", []), "classes": pickles.get("classes", [])},
        "request_settings": {**REQUEST_SETTINGS, **mapping(deployment.get("request_settings"))},
        "liveness_probe": {**PROBE, **mapping(deployment.get("liveness_probe"))},
        "readiness_probe": {**PROBE, **mapping(deployment.get("readiness_probe"))},
        "show_tracebacks": True,
        **make_watching(deployment, collected),
    }


def runtime(deployment: Mapping[str, JSON]) -> str:
    """How a worker gets from the model to answers.

    Raises:
        TargetError: It cannot.
    """
    model = mapping(deployment.get("model"))
    flavors = mapping(model.get("flavors"))
    files = mapping(model.get("files"))
    if "code" in deployment:
        return "script"
    if model.get("type") == "mlflow_model" or "python_function" in flavors:
        return "mlflow"
    if "onnx" in flavors or (files and all(path.endswith((".onnx", ".data")) for path in files)):
        return "onnx"
    if "sklearn" in flavors:
        return "sklearn"
    raise TargetError(
        Diagnostic(
            "Model needs a scoring script",
            f"{model.get('name', 'It')} is neither an ONNX nor a scikit-learn nor an MLflow model, as far as declared.",
            todo="Give the deployment a code_configuration, or the model its flavors.",
        )
    )


def make_aliases(spec: Spec, current: Mapping[str, JSON]) -> dict[str, JSON]:
    """Which live deployment each declared name reaches: while two are live, the one that it reached before."""
    live = mapping(spec.get("deployments"))
    traffic = mapping(spec.get("traffic"))
    aliases: dict[str, JSON] = {}
    for live_name, value in sorted(live.items(), key=lambda item: (-_weight(traffic.get(item[0])), item[0])):
        aliases.setdefault(str(mapping(value).get("deployment", live_name)), live_name)
    for name in aliases:
        if str(mapping(live.get(str(current.get(name)))).get("deployment", current.get(name))) == name:
            aliases[name] = current[name]
    return aliases


def make_traffic(spec: Spec, aliases: Mapping[str, JSON]) -> dict[str, JSON]:
    """Weights as declared; one deployment without declared weights gets everything."""
    live = mapping(spec.get("deployments"))
    if "traffic" in spec:
        return {name: weight for name, weight in mapping(spec["traffic"]).items() if name in live or weight}
    return {str(live_name): 100 for live_name in aliases.values()} if len(aliases) == 1 else {}


def content(live_name: str, deployment: Mapping[str, JSON]) -> dict[str, JSON]:
    """A deployment without the fields that may change under its live name."""
    return {
        key: value
        for key, value in deployment.items()
        if (rule := rule_for(("deployments", live_name, key), {}, RULES)) is None
        or rule.effect is not FieldEffect.IN_PLACE
    }


def instance_count(deployment: Mapping[str, JSON]) -> int:
    """How many workers are wanted."""
    count = deployment.get("instance_count", 1)
    return count if isinstance(count, int) else 1


def is_there(entry: Mapping[str, JSON]) -> bool:
    """Whether the files that an entry names are on this machine still."""
    paths = [entry.get("python"), entry.get("model_directory"), entry.get("code_directory")]
    return all(Path(str(path)).exists() for path in paths if path is not None)


def _weight(value: JSON) -> int:
    return value if isinstance(value, int) else 0

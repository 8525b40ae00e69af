"""An endpoint in one stage as a resource: references become content, and every rule that needs more than one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops.errors import Location, did_you_mean
from mlops.resolve.computes import ComputeType
from mlops.resolve.findings import Files, Findings
from mlops.resolve.monitoring import exporter_problem
from mlops.resolve.paths import exposed_keys
from mlops.resolve.refused import Refusals
from mlops.resolve.repository import Data, DirectoryContent, Document, Endpoint, FileContent, Repository, Unusable
from mlops.resolve.versions import Version, Versions, content_at, unusable
from mlops.resource import JSON, Address, Artifact, Checks, Kind, Resource, Rollout
from mlops.schemas.problems import DocumentPath, Problem

_AS_WRITTEN = (
    "auth_mode",
    "tls",
    "limits",
    "telemetry",
    "mirror_traffic",
    "description",
    "tags",
    "properties",
    "protect",
)
_AS_WRITTEN_OF_DEPLOYMENT = (
    "instance_count",
    "instance_type",
    "environment_variables",
    "request_settings",
    "liveness_probe",
    "readiness_probe",
    "scale_settings",
    "resources",
    "data_collector",
    "app_insights_enabled",
    "batching",
    "description",
    "tags",
    "properties",
)
_KNOWN_FLAVORS = frozenset({"onnx", "sklearn", "python_function"})


@dataclass(frozen=True, slots=True)
class Stage:
    """What endpoints of one stage are resolved against."""

    repository: Repository
    name: str
    versions: Versions
    computes: Mapping[str, ComputeType]
    refusals: Mapping[str, Refusals]
    findings: Findings


@dataclass(slots=True)
class _Draft:
    """An endpoint while its resource is made."""

    stage: Stage
    document: Document
    files: Files
    after: set[Address] = field(default_factory=set)
    waits: set[str] = field(default_factory=set)
    artifacts: dict[str, Artifact] = field(default_factory=dict)

    def refuse(self, problem: Problem) -> None:
        """Remember a problem of this endpoint."""
        self.stage.findings.add(self.files, problem)

    def content(self, text: str) -> tuple[str, FileContent | DirectoryContent | Unusable]:
        """What a path in the endpoint's files leads to."""
        return content_at(self.stage.repository.content, self.document.file, text)


def resolve_endpoint(stage: Stage, endpoint: Endpoint, document: Document) -> Resource | None:
    """The resource of an endpoint in a stage; None where problems were found that leave none."""
    draft = _Draft(stage, document, (document.file, endpoint.file))
    data = document.data
    compute = data["compute"]
    _check_compute(draft, endpoint, compute)
    for problem in exposed_keys(stage.repository.root, data.get("tls", {})):
        draft.refuse(problem)
    spec: dict[str, JSON] = {key: data[key] for key in _AS_WRITTEN if key in data}
    spec["deployments"] = {name: _deployment(draft, name, body) for name, body in data["deployments"].items()}
    if traffic := _traffic(data):
        spec["traffic"] = traffic
    if "sample_request" in data:
        spec["sample_request"] = _sample_request(draft, data["sample_request"])
    return Resource(
        Address(Kind.ENDPOINT, f"{endpoint.name}@{compute}"),
        compute,
        spec,
        after=frozenset(draft.after),
        waits=tuple(sorted(draft.waits)),
        protect=data.get("protect", stage.repository.stages.get(stage.name, {}).get("protect", False)),
        rollout=_rollout(data),
        artifacts=tuple(draft.artifacts.values()),
        origin=Location(document.file),
        timeout=data.get("timeout"),
    )


def _check_compute(draft: _Draft, endpoint: Endpoint, compute: str) -> None:
    stage = draft.stage
    declared = stage.repository.computes
    if compute not in declared:
        todo = did_you_mean(compute, list(declared)) or f"Declared computes: {', '.join(declared) or 'none'}."
        draft.refuse(Problem(("compute",), "Unknown compute", f'mlops.yaml declares no compute "{compute}".', todo))
        return
    for other, document in endpoint.stages.items():
        if other == stage.name:
            break
        if document.data["compute"] == compute:
            detail = f"The stages {other} and {stage.name} both deploy {endpoint.name} on {compute}."
            todo = "Give each stage a compute of its own."
            draft.refuse(Problem(("compute",), "Two stages deploy one endpoint on one compute", detail, todo))
    kind = declared[compute]["type"]
    if kind in stage.computes:
        for problem in stage.refusals[kind].problems(stage.versions, draft.document.data, compute):
            draft.refuse(problem)
        _check_traffic_support(draft, stage.computes[kind].traffic, compute)


def _check_traffic_support(draft: _Draft, support: str, compute: str) -> None:
    if support == "weighted":
        return
    data = draft.document.data
    if data.get("rollout", {}).get("strategy", "all_at_once") != "all_at_once":
        detail = f"{compute} cannot split traffic between two versions."
        todo = "Write strategy: all_at_once, or leave rollout out."
        draft.refuse(Problem(("rollout", "strategy"), "Rollout that the compute cannot do", detail, todo))
    if any(weight not in (0, 100) for weight in data.get("traffic", {}).values()):
        detail = f"{compute} cannot split traffic between deployments."
        draft.refuse(Problem(("traffic",), "Traffic that the compute cannot split", detail, "Give one deployment 100."))


def _deployment(draft: _Draft, name: str, body: Data) -> dict[str, JSON]:
    path: DocumentPath = ("deployments", name)
    model = _reference(draft, Kind.MODEL, body["model"], (*path, "model"))
    environment = _reference(draft, Kind.ENVIRONMENT, body["environment"], (*path, "environment"))
    spec: dict[str, JSON] = {key: body[key] for key in _AS_WRITTEN_OF_DEPLOYMENT if key in body}
    spec["model"] = model.part if model else _undeclared(body["model"])
    spec["environment"] = environment.part if environment else _undeclared(body["environment"])
    if model and model.pickles is not None:
        spec["pickles"] = model.pickles
    if environment:
        _use_environment(draft, environment, (*path, "environment"))
        _check_monitoring(draft, environment, body, path)
    if "code_configuration" in body:
        spec["code"] = _code(draft, body["code_configuration"], (*path, "code_configuration"))
    elif model and not _serves_itself(model.document.data):
        todo = "Write code_configuration, or, in the model's file, flavors such as {onnx: {}} or {sklearn: {}}."
        detail = f"{body['model']} has no flavor that can be served without code, and {name} has no entry script."
        draft.refuse(Problem((*path, "model"), "Nothing says how to serve the model", detail, todo))
    return spec


def _reference(draft: _Draft, kind: Kind, reference: str, path: DocumentPath) -> Version | None:
    """The declared version that a deployment names; an undeclared one is waited for, a deleted one refused."""
    repository = draft.stage.repository
    versions = draft.stage.versions
    declared = versions.models if kind is Kind.MODEL else versions.environments
    if reference in declared:
        draft.after.add(Address(kind, reference))
        return declared[reference]
    name, _, version = reference.partition(":")
    if f"{kind}s/{name}/{version}.yaml" in repository.broken:
        return None
    if kind is Kind.MODEL and version in repository.tombstones.get(name, ()):
        detail = f"{reference} was deleted and cannot come back."
        draft.refuse(Problem(path, "Deleted version", detail, "Name another version."))
    draft.waits.add(f"{kind}/{reference}")
    return None


def _undeclared(reference: str) -> dict[str, JSON]:
    name, _, version = reference.partition(":")
    return {"name": name, "version": version}


def _use_environment(draft: _Draft, environment: Version, path: DocumentPath) -> None:
    lock = environment.lock
    if lock is not None:
        draft.artifacts[lock.source] = lock
        return
    unmet = draft.stage.repository.packages[environment.resource.address.name].conda_only
    if unmet and "image" not in environment.document.data:
        from mlops.conda import unmet_packages  # noqa: PLC0415 - only for the error

        found = unmet_packages(unmet)
        draft.refuse(Problem(path, found.summary, found.detail, found.todo, found.command))


def _check_monitoring(draft: _Draft, environment: Version, body: Data, path: DocumentPath) -> None:
    """Where a lock says what is installed, what is to send to Azure Monitor is among it."""
    if environment.lock is None or not body.get("app_insights_enabled"):
        return
    reference = environment.resource.address.name
    packages = draft.stage.repository.packages[reference]
    problem = exporter_problem((*path, "app_insights_enabled"), reference, packages.requirements)
    if problem is not None:
        draft.refuse(problem)


def _serves_itself(model: Data) -> bool:
    return model.get("type") == "mlflow_model" or bool(_KNOWN_FLAVORS & model.get("flavors", {}).keys())


def _code(draft: _Draft, configuration: Data, path: DocumentPath) -> JSON:
    folder, content = draft.content(configuration["code"])
    script = configuration["scoring_script"]
    match content:
        case Unusable():
            draft.refuse(unusable((*path, "code"), content))
            return None
        case FileContent():
            todo = "Name the folder that holds the scoring script."
            draft.refuse(Problem((*path, "code"), "Not a folder", f"{folder} is a file.", todo))
            return None
        case DirectoryContent():
            if script.removeprefix("./") not in content.files:
                todo = did_you_mean(script, list(content.files)) or f"Name a file in {folder}."
                detail = f"There is no {script} in {folder}."
                draft.refuse(Problem((*path, "scoring_script"), "File not found", detail, todo))
            digest = str(content.archive)
            draft.artifacts[f"{folder}/"] = Artifact(digest, f"{folder}/", sum(f.size for f in content.files.values()))
            return {"sha256": digest, "scoring_script": script.removeprefix("./")}


def _sample_request(draft: _Draft, sample: Data) -> JSON:
    spec: dict[str, JSON] = {key: sample[key] for key in ("tolerance", "deployment") if key in sample}
    source, content = draft.content(sample["request"])
    match content:
        case Unusable():
            draft.refuse(unusable(("sample_request", "request"), content))
        case DirectoryContent():
            problem = Problem(("sample_request", "request"), "Not a file", f"{source} is a folder.", "Name a file.")
            draft.refuse(problem)
        case FileContent():
            spec["request"] = content.sha256
            draft.artifacts[source] = Artifact(content.sha256, source, content.size)
    spec["expected"] = _expected(draft, sample["expected"])
    return spec


def _expected(draft: _Draft, expected: JSON) -> JSON:
    if not isinstance(expected, str):
        return expected
    path, content = draft.content(expected)
    found = content if isinstance(content, Unusable) else draft.stage.repository.values.get(path)
    if isinstance(found, Unusable):
        draft.refuse(unusable(("sample_request", "expected"), found))
        return None
    return found


def _traffic(data: Data) -> Mapping[str, int]:
    """The declared split; the only deployment gets everything."""
    traffic: Mapping[str, int] | None = data.get("traffic")
    if traffic is None and len(data["deployments"]) == 1:
        return {next(iter(data["deployments"])): 100}
    return traffic or {}


def _rollout(data: Data) -> Rollout:
    rollout: Mapping[str, Any] = data.get("rollout", {})
    checks = rollout.get("checks", {})
    return Rollout(
        rollout.get("strategy", "all_at_once"),
        tuple(rollout.get("weights", ())),
        rollout.get("soak", 0.0),
        Checks(
            checks.get("sample_request", True),
            checks.get("max_error_rate"),
            checks.get("min_requests", 0),
            checks.get("deadline", 600.0),
        ),
    )

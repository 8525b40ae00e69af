"""One deployment of an endpoint: what it is, and how its document is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from mlops_scoring.collection.settings import DataCollector, parse_data_collector
from mlops_scoring.documents import Fields
from mlops_scoring.telemetry.settings import Telemetry, parse_telemetry

RUNTIMES = ("script", "onnx", "sklearn", "mlflow")
"""Names of the runtimes."""
Runtime = Literal["script", "onnx", "sklearn", "mlflow"]
"""How a worker gets from model files to answers; all but `script` need no entry script."""

PICKLE_FORMATS = ("joblib", "pickle", "skops")
"""Formats that a pickle policy may allow."""

IN_PLACE = ("instance_count", "telemetry")
"""What of a deployment may change under one live name: no answer depends on it."""

_LIVE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_INSTANCES = 50


@dataclass(frozen=True, slots=True)
class Probe:
    """How often a worker is asked whether it is well; times in seconds (Azure ML's fields and defaults)."""

    initial_delay: float = 10
    period: float = 10
    timeout: float = 2
    success_threshold: int = 1
    failure_threshold: int = 30


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """Limits of one deployment's requests (Azure ML's fields and defaults).

    Attributes:
        request_timeout_ms: From the moment a worker has the request; then the client gets 504.
        max_concurrent_requests_per_instance: Requests inside `run()` of one worker at once.
        max_queue_wait_ms: How long a request waits for a free worker; then the client gets 429.
    """

    request_timeout_ms: int = 5000
    max_concurrent_requests_per_instance: int = 1
    max_queue_wait_ms: int = 500


@dataclass(frozen=True, slots=True)
class PicklePolicy:
    """What may be unpickled: formats, and classes by their full names. Empty means nothing."""

    formats: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Name and version of the model in the registry."""

    name: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Batching:
    """Requests that are given to the model together, for runtimes that can.

    Attributes:
        max_batch_size: Rows of one call at most; 1 turns it off.
        max_delay_ms: How long the first request of a batch waits for others.
    """

    max_batch_size: int = 1
    max_delay_ms: float = 0


@dataclass(frozen=True, slots=True)
class Deployment:
    """One live deployment; everything but what `IN_PLACE` names is fixed for its live name.

    Attributes:
        name: The live name: the declared name and a digest of its content.
        declared_name: The name as declared; the live name where it is not known.
        show_tracebacks: Whether callers see why a script failed; only where they are its authors.
        document: The deployment as it was put, opaque fields included.
    """

    name: str
    python: str
    instance_count: int
    runtime: Runtime
    model_directory: str | None
    model_files: Mapping[str, str]
    code_directory: str | None
    scoring_script: str | None
    environment_variables: Mapping[str, str]
    pickle_policy: PicklePolicy
    request_settings: RequestSettings
    liveness_probe: Probe
    readiness_probe: Probe
    declared_name: str
    model: ModelIdentity
    data_collector: DataCollector | None
    telemetry: Telemetry
    batching: Batching
    show_tracebacks: bool
    document: Mapping[str, object]

    def identity(self) -> Mapping[str, object]:
        """The document without what may change under one live name."""
        return {key: value for key, value in self.document.items() if key not in IN_PLACE}


def parse_deployment(name: str, value: object, where: str, problems: list[str]) -> Deployment:
    """Read one deployment.

    Args:
        name: Its live name.
        value: The document.
        where: Its path, for messages.
        problems: Where problems are put; what is returned is usable only when there are none.
    """
    fields = Fields(value, where, problems)
    if not _LIVE_NAME.fullmatch(name):
        fields.problem("", "a live name has letters, digits, '.', '_' and '-', and begins with a letter or digit")
    fields.get("spec", None)
    policy = fields.below("pickle_policy", {})
    deployment = Deployment(
        name=name,
        python=_absolute(fields, "python", fields.text("python")) or "",
        instance_count=fields.whole("instance_count", least=1, most=_MAX_INSTANCES),
        runtime=_runtime(fields),
        model_directory=_absolute(fields, "model_directory", fields.optional_text("model_directory")),
        model_files=_model_files(fields),
        code_directory=_absolute(fields, "code_directory", fields.optional_text("code_directory")),
        scoring_script=fields.optional_text("scoring_script"),
        environment_variables=_variables(fields),
        pickle_policy=PicklePolicy(policy.text_list("formats", ()), policy.text_list("classes", ())),
        request_settings=_request_settings(fields.below("request_settings", {})),
        liveness_probe=_probe(fields.below("liveness_probe", {})),
        readiness_probe=_probe(fields.below("readiness_probe", {})),
        declared_name=fields.text("deployment", name),
        model=_model(fields.below("model", {})),
        data_collector=_data_collector(fields),
        telemetry=parse_telemetry(fields.below("telemetry", {})),
        batching=_batching(fields.below("batching", {})),
        show_tracebacks=_flag(fields, "show_tracebacks"),
        document=value if isinstance(value, dict) else {},
    )
    for unknown in sorted(set(deployment.pickle_policy.formats) - set(PICKLE_FORMATS)):
        policy.problem("formats", f"{unknown!r} is not one of {', '.join(PICKLE_FORMATS)}")
    policy.finish()
    _check_sources(fields, deployment)
    fields.finish()
    return deployment


def _runtime(fields: Fields) -> Runtime:
    match fields.text("runtime", choices=RUNTIMES):
        case "onnx":
            return "onnx"
        case "sklearn":
            return "sklearn"
        case "mlflow":
            return "mlflow"
        case _:
            return "script"


def _check_sources(fields: Fields, deployment: Deployment) -> None:
    if deployment.runtime == "script":
        if deployment.code_directory is None or deployment.scoring_script is None:
            fields.problem("scoring_script", "the runtime 'script' needs code_directory and scoring_script")
        elif not _stays_below(deployment.scoring_script):
            fields.problem("scoring_script", "must be a path below code_directory")
    else:
        if deployment.scoring_script is not None:
            fields.problem("scoring_script", f"the runtime {deployment.runtime!r} takes none; it must be null")
        if deployment.model_directory is None:
            fields.problem("model_directory", f"the runtime {deployment.runtime!r} needs a model")
    if deployment.model_directory is None and deployment.model_files:
        fields.problem("model_files", "there are files but no model_directory")


def _stays_below(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts


def _absolute(fields: Fields, name: str, path: str | None) -> str | None:
    if path and not path.startswith("/"):
        fields.problem(name, "must be an absolute path")
    return path


def _model_files(fields: Fields) -> Mapping[str, str]:
    files = fields.texts("model_files", {})
    for path, digest in files.items():
        if not _stays_below(path):
            fields.problem(f"model_files.{path}", "must be a path below model_directory")
        if not _SHA256.fullmatch(digest):
            fields.problem(f"model_files.{path}", "must be a sha256 in 64 small hexadecimal digits")
    return files


def _variables(fields: Fields) -> Mapping[str, str]:
    variables = fields.texts("environment_variables", {})
    for name in variables:
        if not _VARIABLE.fullmatch(name):
            fields.problem("environment_variables", f"{name!r} is not the name of an environment variable")
    return variables


def _request_settings(fields: Fields) -> RequestSettings:
    default = RequestSettings()
    settings = RequestSettings(
        fields.whole("request_timeout_ms", default.request_timeout_ms, least=1),
        fields.whole("max_concurrent_requests_per_instance", default.max_concurrent_requests_per_instance, least=1),
        fields.whole("max_queue_wait_ms", default.max_queue_wait_ms),
    )
    fields.finish()
    return settings


def _model(fields: Fields) -> ModelIdentity:
    known = bool(fields.values)
    identity = ModelIdentity(fields.text("name"), fields.text("version")) if known else ModelIdentity()
    fields.finish()
    return identity


def _data_collector(fields: Fields) -> DataCollector | None:
    wanted = fields.get("data_collector", None) is not None
    return parse_data_collector(fields.below("data_collector")) if wanted else None


def _batching(fields: Fields) -> Batching:
    batching = Batching(
        fields.whole("max_batch_size", 1, least=1, most=4096),
        fields.number("max_delay_ms", 0),
    )
    fields.finish()
    return batching


def _flag(fields: Fields, name: str) -> bool:
    value = fields.get(name, False)
    if not isinstance(value, bool):
        fields.problem(name, "must be true or false")
    return value is True


def _probe(fields: Fields) -> Probe:
    default = Probe()
    probe = Probe(
        fields.number("initial_delay", default.initial_delay),
        fields.number("period", default.period, least=0.1),
        fields.number("timeout", default.timeout, least=0.01),
        fields.whole("success_threshold", default.success_threshold, least=1),
        fields.whole("failure_threshold", default.failure_threshold, least=1),
    )
    fields.finish()
    return probe

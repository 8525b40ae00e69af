"""What an endpoint serves: the configuration document, format 1, and its frozen form.

The toolkit puts the whole document; a supervisor makes the world like it. Field names are those of the Azure ML CLI v2
deployment schema where it has one (`request_settings`, `liveness_probe`, `instance_count`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from mlops_scoring.documents import Fields, InvalidDocument, parse_json

FORMAT = 1
"""Version of the configuration document."""

RUNTIMES = ("script", "onnx", "sklearn", "mlflow")
"""Names of the runtimes."""
Runtime = Literal["script", "onnx", "sklearn", "mlflow"]
"""How a worker gets from model files to answers; all but `script` need no entry script."""

PICKLE_FORMATS = ("joblib", "pickle", "skops")
"""Formats that a pickle policy may allow."""

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
class Deployment:
    """One live deployment; everything but `instance_count` is fixed for its live name.

    Attributes:
        name: The live name: the declared name and a digest of its content.
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
    document: Mapping[str, object]

    def identity(self) -> Mapping[str, object]:
        """The document without what may change under one live name."""
        return {key: value for key, value in self.document.items() if key != "instance_count"}


@dataclass(frozen=True, slots=True)
class EndpointConfiguration:
    """A whole configuration.

    Attributes:
        traffic: Weight in percent of each live name; the sum is 0 or 100.
        aliases: What the request header `azureml-model-deployment` reaches, besides live names.
        document: The configuration as it was put.
    """

    endpoint: str
    host: str
    port: int
    traffic: Mapping[str, int]
    aliases: Mapping[str, str]
    deployments: Mapping[str, Deployment]
    document: Mapping[str, object]


def parse_configuration(data: bytes | str) -> EndpointConfiguration:
    """Read a configuration document.

    Raises:
        InvalidDocument: With every problem found.
    """
    problems: list[str] = []
    document = parse_json(data, "configuration")
    fields = Fields(document, "", problems)
    _check_format(fields)
    fields.get("stamp", None)
    deployments = {
        name: _deployment(name, value, f"deployments.{name}", problems)
        for name, value in fields.mapping("deployments").items()
    }
    configuration = EndpointConfiguration(
        endpoint=fields.text("endpoint"),
        host=_host(fields),
        port=fields.whole("port", least=1, most=65535),
        traffic=_traffic(fields, deployments),
        aliases=_aliases(fields, deployments),
        deployments=deployments,
        document=document if isinstance(document, dict) else {},
    )
    fields.finish()
    if problems:
        raise InvalidDocument(problems)
    return configuration


def parse_worker_configuration(data: bytes | str) -> Deployment:
    """Read the file that a worker is started with: `{"format": 1, "live_name": ..., "deployment": {...}}`.

    Raises:
        InvalidDocument: With every problem found.
    """
    problems: list[str] = []
    fields = Fields(parse_json(data, "worker configuration"), "", problems)
    _check_format(fields)
    deployment = _deployment(fields.text("live_name"), fields.get("deployment"), "deployment", problems)
    fields.finish()
    if problems:
        raise InvalidDocument(problems)
    return deployment


def _check_format(fields: Fields) -> None:
    found = fields.get("format")
    if found != FORMAT or isinstance(found, bool):
        fields.problem("format", f"must be {FORMAT}; it is {found!r}: the other side has another version")


def _host(fields: Fields) -> str:
    host = fields.text("host")
    try:
        if not ipaddress.ip_address(host).is_loopback:
            fields.problem("host", f"must be a loopback address, because clients are not authenticated; it is {host}")
    except ValueError:
        if host:
            fields.problem("host", f"must be an IP address; it is {host!r}")
    return host


def _traffic(fields: Fields, deployments: Mapping[str, Deployment]) -> Mapping[str, int]:
    below = fields.below("traffic")
    traffic = {name: below.whole(name, most=100) for name in fields.mapping("traffic")}
    for name in traffic:
        if name not in deployments:
            below.problem(name, "is not the live name of a deployment")
    if sum(traffic.values()) not in {0, 100}:
        fields.problem("traffic", f"must add up to 0 or 100; it adds up to {sum(traffic.values())}")
    return traffic


def _aliases(fields: Fields, deployments: Mapping[str, Deployment]) -> Mapping[str, str]:
    aliases = fields.texts("aliases", {})
    for name, live in aliases.items():
        if live not in deployments:
            fields.problem(f"aliases.{name}", f"{live!r} is not the live name of a deployment")
        if name in deployments and live != name:
            fields.problem(f"aliases.{name}", "is the live name of another deployment")
    return aliases


def _deployment(name: str, value: object, where: str, problems: list[str]) -> Deployment:
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

"""The environment variables by which users of azureml-inference-server-http 1.5.1 set it up, and its `config.json`.

Names, defaults and precedence are that server's: a variable wins over the file, and both over the default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from mlops_scoring.documents import InvalidDocument, parse_json

Value = TypeVar("Value")

DEFAULT_APP_ROOT = "/var/azureml-app"
"""Where Azure ML's images have the code."""

_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE = frozenset({"false", "0", "no", "off", "f", "n"})
_LEVELS = frozenset({"CRITICAL", "FATAL", "ERROR", "WARNING", "WARN", "INFO", "DEBUG", "NOTSET"})
_INSTRUMENTATION_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the variables say; the name of its variable stands with each.

    Attributes:
        app_root: AML_APP_ROOT, the code directory.
        source_directory: AZUREML_SOURCE_DIRECTORY, a folder within it that is put on `sys.path`.
        entry_script: AZUREML_ENTRY_SCRIPT; without it the module `main` is the script.
        model_directory: AZUREML_MODEL_DIR.
        service_name: SERVICE_NAME, for swagger.
        service_version: SERVICE_VERSION, for swagger.
        path_prefix: SERVICE_PATH_PREFIX, for swagger; empty, or with one slash at its front and none at its end.
        workspace_name: WORKSPACE_NAME, for telemetry.
        hostname: HOSTNAME, for telemetry.
        scoring_timeout_ms: SCORING_TIMEOUT_MS; None is no limit but that of the deployment.
        log_level: AZUREML_LOG_LEVEL.
        cors_origins: AML_CORS_ORIGINS, comma separated; `*` is any, and regular expressions are taken.
        server_version: SERVER_VERSION_LOG_RESPONSE_ENABLED, whether answers have `x-ms-server-version`.
        app_insights: AML_APP_INSIGHTS_ENABLED, with a key that is one.
        app_insights_key: AML_APP_INSIGHTS_KEY, an instrumentation key; never shown.
        app_insights_responses: APP_INSIGHTS_LOG_RESPONSE_ENABLED.
        model_data: AML_MODEL_DC_STORAGE_ENABLED, whether inputs and outputs go to Application Insights.
        port: SERVER_PORT of ours; the reference overwrites that variable, and has a command-line option only.
        health_port: HEALTH_PORT, where SEPERATE_HEALTH_ENDPOINT (its spelling) is true.
        worker_count: WORKER_COUNT; None where it is not said.
        worker_timeout_seconds: WORKER_TIMEOUT, after which a worker that says nothing is replaced.
        debug_port: AZUREML_DEBUG_PORT, to which debugpy connects.
    """

    app_root: str = DEFAULT_APP_ROOT
    source_directory: str | None = None
    entry_script: str | None = None
    model_directory: str | None = None
    service_name: str = "ML service"
    service_version: str = "1.0"
    path_prefix: str = ""
    workspace_name: str = ""
    hostname: str = "Unknown"
    scoring_timeout_ms: int | None = None
    log_level: str = "INFO"
    cors_origins: tuple[str, ...] = ()
    server_version: bool = True
    app_insights: bool = False
    app_insights_key: str | None = field(default=None, repr=False)
    app_insights_responses: bool = True
    model_data: bool = False
    port: int = 5001
    health_port: int | None = None
    worker_count: int | None = None
    worker_timeout_seconds: int = 300
    debug_port: int | None = None

    @property
    def script(self) -> PurePosixPath:
        """Path of the entry script: within `app_root`, unless it is absolute."""
        return PurePosixPath(self.app_root, self.entry_script or "main.py")


class _Reader:
    """Reads values of one environment; notes every problem and goes on."""

    def __init__(self, environment: Mapping[str, str], document: Mapping[str, object]) -> None:
        self.problems: list[str] = []
        self._environment = environment
        self._document = document

    def text(self, name: str) -> str | None:
        if name in self._environment:
            return self._environment[name]
        value = self._document.get(name)
        if isinstance(value, bool):
            return str(value).lower()
        if value is None or isinstance(value, str | int):
            return None if value is None else str(value)
        self.problems.append(f"{name}: must be text or a whole number; it is {type(value).__name__}")
        return None

    def whole(self, name: str, *, least: int = 1, most: int = 2**31) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        if not re.fullmatch(r"\s*[+-]?\d{1,18}\s*", text, re.ASCII) or not least <= int(text) <= most:
            self.problems.append(f"{name}: must be a whole number from {least} to {most}; it is {text!r}")
            return None
        return int(text)

    def truth(self, name: str, *, default: bool) -> bool:
        text = self.text(name)
        if text is None:
            return default
        if text.strip().lower() not in _TRUE | _FALSE:
            self.problems.append(f"{name}: must be true or false; it is {text!r}")
        return text.strip().lower() in _TRUE

    def level(self, name: str) -> str:
        text = (self.text(name) or "INFO").strip().upper()
        if text not in _LEVELS:
            self.problems.append(f"{name}: must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL; it is {text!r}")
            return "INFO"
        return text


def read_settings(environment: Mapping[str, str], document: Mapping[str, object] | None = None) -> Settings:
    """Read the variables, and what the configuration file says of those that are not set.

    Args:
        environment: Environment variables.
        document: The configuration file's object; its keys are names of variables. Others are the user's own.

    Raises:
        InvalidDocument: Values that are none; all of them are told.
    """
    read = _Reader(environment, document or {})
    key = read.text("AML_APP_INSIGHTS_KEY")
    prefix = (read.text("SERVICE_PATH_PREFIX") or "").strip("/")
    origins = (origin.strip() for origin in (read.text("AML_CORS_ORIGINS") or "").split(","))
    separate = (read.text("SEPERATE_HEALTH_ENDPOINT") or "").lower() == "true"
    settings = Settings(
        app_root=read.text("AML_APP_ROOT") or DEFAULT_APP_ROOT,
        source_directory=read.text("AZUREML_SOURCE_DIRECTORY") or None,
        entry_script=read.text("AZUREML_ENTRY_SCRIPT") or None,
        model_directory=read.text("AZUREML_MODEL_DIR") or None,
        service_name=_or(read.text("SERVICE_NAME"), "ML service"),
        service_version=_or(read.text("SERVICE_VERSION"), "1.0"),
        path_prefix=f"/{prefix}" if prefix else "",
        workspace_name=read.text("WORKSPACE_NAME") or "",
        hostname=_or(read.text("HOSTNAME"), "Unknown"),
        scoring_timeout_ms=read.whole("SCORING_TIMEOUT_MS"),
        log_level=read.level("AZUREML_LOG_LEVEL"),
        cors_origins=tuple(origin for origin in origins if origin),
        server_version=(read.text("SERVER_VERSION_LOG_RESPONSE_ENABLED") or "true").lower() == "true",
        app_insights=read.truth("AML_APP_INSIGHTS_ENABLED", default=False) and is_instrumentation_key(key),
        app_insights_key=key or None,
        app_insights_responses=read.truth("APP_INSIGHTS_LOG_RESPONSE_ENABLED", default=True),
        model_data=read.truth("AML_MODEL_DC_STORAGE_ENABLED", default=False),
        port=read.whole("SERVER_PORT", most=65535) or 5001,
        health_port=(read.whole("HEALTH_PORT", most=65535) or 5000) if separate else None,
        worker_count=read.whole("WORKER_COUNT", most=1024),
        worker_timeout_seconds=_or(read.whole("WORKER_TIMEOUT", least=0), 300),
        debug_port=read.whole("AZUREML_DEBUG_PORT", most=65535),
    )
    if read.problems:
        raise InvalidDocument(read.problems)
    return settings


def _or(value: Value | None, default: Value) -> Value:
    return default if value is None else value


def is_instrumentation_key(key: str | None) -> bool:
    """Whether a text has the form of an Application Insights key; the reference takes no connection strings."""
    return key is not None and _INSTRUMENTATION_KEY.fullmatch(key) is not None


def find_configuration_file(environment: Mapping[str, str]) -> Path | None:
    """The file that AZUREML_CONFIG_FILE names, else `config.json` of the code directory, else beside the script.

    Empty files do not count. This looks at the file system; `read_settings` does not.
    """
    places = [environment.get("AZUREML_CONFIG_FILE")]
    places.append(str(Path(environment.get("AML_APP_ROOT") or DEFAULT_APP_ROOT, "config.json")))
    script = environment.get("AZUREML_ENTRY_SCRIPT")
    if script:
        places.append(str(Path(script).resolve().with_name("config.json")))
    paths = (Path(place) for place in places if place)
    return next((path for path in paths if path.is_file() and path.stat().st_size), None)


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read the variables and the configuration file that they lead to.

    Raises:
        InvalidDocument: The file is not JSON, or values are none.
        OSError: The file cannot be read.
    """
    path = find_configuration_file(environment)
    if path is None:
        return read_settings(environment)
    document = parse_json(path.read_bytes(), str(path))
    if not isinstance(document, dict):
        raise InvalidDocument([f"{path}: must be an object with names of environment variables"])
    return read_settings(environment, document)

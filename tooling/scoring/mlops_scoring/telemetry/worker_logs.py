"""A worker's log: set up before the model is loaded, by the variables and files that Azure ML's server knows.

`AZUREML_LOG_LEVEL` is the level. A `logging.json` in the code directory, or beside the entry script, is given to
`logging.config.dictConfig`, as azureml-inference-server-http 1.5.1 does; formats are then the script's, and what it
prints stays as it is printed.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from mlops_scoring.telemetry.log_capture import PrintedLines
from mlops_scoring.telemetry.logs import log_to_standard_error

_log = logging.getLogger("mlops_scoring.worker")
_NAME = "logging.json"


def configure_logs(constant: Mapping[str, object], code_directory: str | None, script: str | None) -> None:
    """Set up logging for this process.

    Args:
        constant: Fields of every line.
        code_directory: Where a `logging.json` may lie.
        script: Path of the entry script within it.
    """
    log_to_standard_error(constant, os.environ)
    logging.getLogger().setLevel(_level(os.environ.get("AZUREML_LOG_LEVEL", "")))
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_thread_death
    if not _use_own_configuration(code_directory, script):
        sys.stdout = PrintedLines(sys.stdout, "stdout")
        sys.stderr = PrintedLines(sys.stderr, "stderr")


def _level(name: str) -> int:
    found = logging.getLevelName(name.strip().upper() or "INFO")
    return found if isinstance(found, int) else logging.INFO


def _use_own_configuration(code_directory: str | None, script: str | None) -> bool:
    if code_directory is None:
        return False
    places = (Path(code_directory), Path(code_directory, script or "").parent)
    path = next((place / _NAME for place in places if (place / _NAME).is_file()), None)
    if path is None:
        return False
    import logging.config  # noqa: PLC0415 - few scripts have one

    try:
        logging.config.dictConfig(json.loads(path.read_bytes()))
    except Exception:  # noqa: BLE001 - classes that it names raise anything
        _log.exception("%s cannot be used; logs have the usual form", path)
        return False
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("mlops_scoring")]:
        logging.getLogger(name).disabled = False  # dictConfig turns off what it does not know
    _log.info("logging is configured by %s", path)
    return True


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.critical("uncaught: %s", kind.__name__, exc_info=(kind, error, trace))


def _log_thread_death(death: threading.ExceptHookArgs) -> None:
    if death.exc_value is not None and death.exc_type is not SystemExit:
        name = death.thread.name if death.thread is not None else "a thread"
        _log.error("%s ended by %s", name, death.exc_type.__name__, exc_info=death.exc_value)

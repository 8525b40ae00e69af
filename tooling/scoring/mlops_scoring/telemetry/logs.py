"""Structured logs: one JSON object a line, whatever a message holds.

`MLOPS_LOG_FORMAT` is `json`, unless it is `text`. Everything but printable ASCII is escaped in JSON, so that nothing
that a client or a script says can end a line, begin one, or talk to a terminal.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Mapping

from mlops_scoring.current import CURRENT
from mlops_scoring.telemetry.redaction import redact
from mlops_scoring.telemetry.trace_context import TRACE

FORMAT_VARIABLE = "MLOPS_LOG_FORMAT"
"""Environment variable that chooses the format."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_MAX_CHARACTERS = 16 * 1024


class JsonFormatter(logging.Formatter):
    """Writes a record as JSON.

    Args:
        constant: Fields of every line: the endpoint, the deployment, the worker.
    """

    def __init__(self, constant: Mapping[str, object]) -> None:
        """Keep the constant fields."""
        super().__init__()
        self._constant = dict(constant)

    def format(self, record: logging.LogRecord) -> str:
        """One line, without its end."""
        fields: dict[str, object] = {
            "time": timestamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": _bounded(redact(_message(record))),
        }
        asked = CURRENT.get()
        if asked is not None and asked.request_id:
            fields["request_id"] = asked.request_id
        trace = TRACE.get()
        if trace is not None:
            fields["trace_id"] = f"{trace.trace_id:032x}"
            fields["span_id"] = f"{trace.span_id:016x}"
        fields.update(self._constant)
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = _bounded(redact(self.formatException(record.exc_info)))
        if record.stack_info:
            fields["stack"] = _bounded(redact(record.stack_info))
        added = record.__dict__.get("mlops")
        if isinstance(added, Mapping):
            for name, value in added.items():
                fields.setdefault(name, redact(value) if isinstance(value, str) else value)
        return json.dumps(fields, default=str)


class TextFormatter(logging.Formatter):
    """Writes a record as Azure ML's server does; further lines of a message are indented."""

    def __init__(self) -> None:
        """Use Azure ML's form."""
        super().__init__("%(asctime)s %(levelname).1s [%(process)d] %(name)s - %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """In UTC."""
        del datefmt
        return timestamp(record.created)

    def format(self, record: logging.LogRecord) -> str:
        """One line, or more where there is an exception."""
        return visible(_bounded(redact(super().format(record)))).replace("\n", "\n    ")


def formatter(constant: Mapping[str, object], environment: Mapping[str, str]) -> logging.Formatter:
    """The formatter that an environment asks for."""
    if environment.get(FORMAT_VARIABLE, "").strip().lower() == "text":
        return TextFormatter()
    return JsonFormatter(constant)


def timestamp(seconds: float) -> str:
    """RFC 3339, in UTC, with milliseconds."""
    milliseconds = int(seconds * 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000)) + f".{milliseconds % 1000:03d}Z"


def visible(text: str) -> str:
    """The text with control characters written out; line ends and tabs stay."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - arguments that do not fit the message, objects that cannot be shown
        return f"unreadable record: {record.msg!r}: {type(error).__name__}"


def _bounded(text: str) -> str:
    if len(text) <= _MAX_CHARACTERS:
        return text
    half = _MAX_CHARACTERS // 2
    return f"{text[:half]} [... {len(text) - 2 * half} characters ...] {text[-half:]}"


def log_to_standard_error(constant: Mapping[str, object], environment: Mapping[str, str]) -> None:
    """Bring all of this process' records, from INFO on, to standard error in the form that an environment asks for."""
    handler = DescriptorHandler()
    handler.setFormatter(formatter(constant, environment))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


class DescriptorHandler(logging.Handler):
    """Writes records to a file descriptor, each at once; what cannot be written is lost, and nothing is said of it.

    Args:
        descriptor: Usually 2, standard error, whoever has replaced `sys.stderr`.
    """

    def __init__(self, descriptor: int = 2) -> None:
        """Know where to write."""
        super().__init__()
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - a formatter of a script's
            line = json.dumps({"level": "ERROR", "logger": record.name, "message": f"unreadable record: {error!r}"})
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]

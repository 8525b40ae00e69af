"""Giving a living supervisor another document, by a new supervisor where the one that runs cannot take it.

Between two supervisors nobody serves. So the one that runs ends only when the document is known to be sound, its
certificate fits its key, and the next supervisor's software is there; and where the next one does not start all the
same, what served before is started again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops.drivers.local import admin, process
from mlops.drivers.local.certificates import check_pair
from mlops.drivers.local.configuration import Document
from mlops.drivers.local.home import Home, read_document
from mlops.drivers.local.watching import mapping
from mlops.errors import Diagnostic, MlopsError, TargetError
from mlops.resource import canonical


@dataclass(frozen=True, slots=True)
class _Served:
    """What served until now: the document, and the interpreter of the supervisor that took it."""

    document: Document
    python: Path


def change(home: Home, document: Document, supervisor: Callable[[], Path]) -> None:
    """Give a living supervisor a document.

    Only one with other content under a live name or with https turned on or off, and one that an older supervisor
    cannot read, needs a new supervisor.

    Args:
        home: The endpoint's folder.
        document: The whole configuration.
        supervisor: Gives the interpreter of this toolkit's supervisors, which is made unless it is there.

    Raises:
        TargetError: The document cannot be used, or no supervisor answers or starts; what served still serves, unless
            the error says otherwise.
    """
    try:
        admin.put_configuration(home, document)
    except admin.Refused as refused:
        if not refused.for_content:
            raise
        python, before = supervisor(), process.python_of(home)
        if not _replaces(read_document(home), document) and before in (None, python):
            raise
        _check(home, document)
        _restart(home, document, python, _Served(read_document(home), before or python))
    except OSError as error:
        raise process.silent(home) from error


def _check(home: Home, document: Document) -> None:
    """Refuse what a new supervisor could not begin with.

    Raises:
        TargetError: It cannot be read, or the certificate and its key cannot be used.
    """
    from mlops_scoring.configuration import parse_configuration  # noqa: PLC0415 - after a refusal only
    from mlops_scoring.documents import InvalidDocument  # noqa: PLC0415

    try:
        parse_configuration(canonical(document))
    except InvalidDocument as invalid:
        detail = f"The supervisor of {home.name} cannot serve this: {invalid}"
        raise TargetError(Diagnostic("Supervisor refused the change", detail, todo=admin.STILL_SERVES)) from None
    check_pair(mapping(document.get("tls")))


def _restart(home: Home, document: Document, python: Path, served: _Served) -> None:
    process.stop(home)
    try:
        process.start(home, document, python)
    except (MlopsError, OSError) as error:
        raise TargetError(*_problems(error), _serve_again(home, served)) from error


def _serve_again(home: Home, served: _Served) -> Diagnostic:
    try:
        process.stop(home)  # one that lives without an answer has the port
        process.start(home, served.document, served.python)
    except (MlopsError, OSError) as error:
        detail = f"What {home.name} served before could not be started again: {error}"
        return Diagnostic("Nothing is served", detail, todo="Mend what is said above, and apply again.")
    return Diagnostic("Returned to what served before", f"{home.name} was started again as it was.")


def _problems(error: MlopsError | OSError) -> tuple[Diagnostic, ...]:
    if isinstance(error, MlopsError):
        return error.diagnostics
    where = f"{error.filename}: " if error.filename else ""
    return (
        Diagnostic("Cannot write", f"{where}{error.strerror or error}.", todo="Make room or mend the permissions."),
    )


def _replaces(live: Document, wanted: Document) -> bool:
    """Whether only a new supervisor can take it: a live name has other content, or https is turned on or off."""
    if bool(live.get("tls")) != bool(wanted.get("tls")):
        return True
    before, after = mapping(live.get("deployments")), mapping(wanted.get("deployments"))
    return any(_content(before[name]) != _content(after[name]) for name in before if name in after)


def _content(deployment: object) -> Mapping[str, object]:
    return {**mapping(deployment), "instance_count": 0, "telemetry": None}

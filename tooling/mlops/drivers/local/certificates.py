"""Where a declared certificate and its private key are on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from mlops.drivers.local.configuration import OWNER
from mlops.drivers.local.watching import mapping
from mlops.errors import Diagnostic, TargetError

_VARIABLE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


def locate(tls: Mapping[str, object], root: Path) -> dict[str, str]:
    """The absolute paths of the files that `tls` names.

    Args:
        tls: `certificate` and `key` as declared; may be empty.
        root: The repository, in which neither may lie.

    Raises:
        TargetError: With everything that is wrong with either.
    """
    found: dict[str, str] = {}
    problems: list[Diagnostic] = []
    for name, text in tls.items():
        path = _expanded(str(text), problems)
        if path is not None:
            problems.extend(_problems(name, path, root))
            found[name] = str(path)
    if problems:
        raise TargetError(*problems)
    return found


def located(declared: Mapping[str, object], live: Mapping[str, object]) -> dict[str, str]:
    """Where the files of an endpoint are already, if the same is declared and names variables that are not set here.

    Whoever put it had them, and a change of something else needs them no more.

    Args:
        declared: `certificate` and `key` as declared.
        live: The endpoint's configuration; may be empty.

    Returns:
        Their absolute paths; empty where they have to be located.
    """
    owner = mapping(live.get(OWNER))
    texts = [str(text) for text in declared.values()]
    if mapping(mapping(owner.get("spec")).get("tls")) != declared or not any(map(_missing, texts)):
        return {}
    return {name: str(path) for name, path in mapping(owner.get("tls")).items()}


def _missing(text: str) -> list[str]:
    """Variables that a path names and that have no value here."""
    return sorted({name for name in _VARIABLE.findall(text) if not os.environ.get(name)})


def check_pair(tls: Mapping[str, object]) -> None:
    """Load the certificate with its key, as a supervisor will.

    Args:
        tls: `certificate` and `key` as absolute paths; may be empty.

    Raises:
        TargetError: A file is not PEM, the key has a passphrase, or the two do not belong together.
    """
    if not tls:
        return
    certificate, key = str(tls["certificate"]), str(tls["key"])
    import ssl  # noqa: PLC0415 - 10 ms that few puts need

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, _refuse_passphrase)
    except (OSError, ValueError) as error:  # of which ssl.SSLError is one
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        detail = f"{certificate} and {key} cannot be used together: {why}."
        todo = "What served before still serves. Let tls name a certificate and its own key, without a passphrase."
        raise TargetError(Diagnostic("Certificate cannot be used", detail, todo=todo)) from None


def _refuse_passphrase() -> str:
    message = "the key has a passphrase"
    raise ValueError(message)


def _expanded(text: str, problems: list[Diagnostic]) -> Path | None:
    if missing := _missing(text):
        problems.append(
            Diagnostic(
                "Environment variable is not set",
                f"{text} names {', '.join(missing)}, which has no value here.",
                todo="Set it, and apply again.",
                command=f"export {missing[0]}=PATH",
            )
        )
        return None
    path = Path(_VARIABLE.sub(lambda match: os.environ[match[1]], text)).expanduser()
    if path.is_absolute():
        return path
    problems.append(
        Diagnostic("Not an absolute path", f"{text} is {path} here.", todo="Have the variable hold an absolute path.")
    )
    return None


def _problems(name: str, path: Path, root: Path) -> list[Diagnostic]:
    real = path.resolve()
    if real.is_relative_to(root.resolve()) and not real.is_relative_to((root / ".mlops").resolve()):
        detail = f"The {name} of tls, {path}, is in this repository, where one `git add` publishes it."
        return [Diagnostic("Private file in the repository", detail, todo="Keep it elsewhere on the machine.")]
    try:
        with path.open("rb") as stream:
            stream.read(1)
    except OSError as error:
        todo = "Put the file there, or let tls name another."
        return [Diagnostic("Cannot read the TLS file", f"The {name}, {path}: {error.strerror}.", todo=todo)]
    return []

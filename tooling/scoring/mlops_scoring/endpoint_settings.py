"""What an endpoint's configuration says about its clients: who they are, how they connect, what they may send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mlops_scoring.documents import Fields
from mlops_scoring.wire.limits import Limits

AuthMode = Literal["none", "key", "aml_token"]
"""How clients are authenticated (Azure ML's `auth_mode`; `aad_token` is the cloud's own)."""

_MODES = ("none", "key", "aml_token")
_MAX_MIRRORED = 50
_LARGEST = 2**40


@dataclass(frozen=True, slots=True)
class Authentication:
    """How clients are authenticated.

    Attributes:
        mode: Azure ML's `auth_mode`, but `aad_token`.
        token_seconds: How long a token lives.
    """

    mode: AuthMode = "none"
    token_seconds: int = 3600


@dataclass(frozen=True, slots=True)
class Tls:
    """Files, in PEM, of the certificate with its chain and of its key, which has no passphrase."""

    certificate: str
    key: str


def parse_authentication(fields: Fields) -> Authentication:
    """Read `auth`."""
    default = Authentication()
    mode: AuthMode
    match fields.text("mode", default.mode, choices=_MODES):
        case "key":
            mode = "key"
        case "aml_token":
            mode = "aml_token"
        case _:
            mode = "none"
    seconds = fields.whole("token_seconds", default.token_seconds, least=1, most=24 * 3600)
    fields.finish()
    return Authentication(mode, seconds)


def parse_tls(fields: Fields) -> Tls | None:
    """Read `tls`; None where there is none."""
    if fields.get("tls", None) is None:
        return None
    below = fields.below("tls")
    tls = Tls(below.text("certificate"), below.text("key"))
    for name, path in (("certificate", tls.certificate), ("key", tls.key)):
        if path and not path.startswith("/"):
            below.problem(name, "must be an absolute path")
    below.finish()
    return tls


def parse_limits(fields: Fields) -> Limits:
    """Read `limits`: the fields of `Limits`, each of which may be left out."""
    default = Limits()

    def size(name: str, least: int = 1) -> int:
        return fields.whole(name, getattr(default, name), least=least, most=_LARGEST)

    def seconds(name: str) -> float:
        return fields.number(name, getattr(default, name), least=0.1)

    limits = Limits(
        head_bytes=size("head_bytes"),
        headers=size("headers"),
        target_bytes=size("target_bytes"),
        body_bytes=size("body_bytes"),
        buffered_bytes=size("buffered_bytes"),
        stream_bytes=size("stream_bytes"),
        connections=size("connections"),
        head_seconds=seconds("head_seconds"),
        body_seconds=seconds("body_seconds"),
        idle_seconds=seconds("idle_seconds"),
        slowest_rate=size("slowest_rate", least=0),
        rate_seconds=seconds("rate_seconds"),
    )
    fields.finish()
    return limits


def parse_mirror_traffic(fields: Fields, names: Mapping[str, object], traffic: Mapping[str, int]) -> Mapping[str, int]:
    """Read `mirror_traffic`: at most one deployment, with at most 50 percent and no traffic of its own (Azure ML's).

    Args:
        fields: The configuration.
        names: The live names.
        traffic: The weights.
    """
    below = fields.below("mirror_traffic", {})
    mirrored = {name: below.whole(name, most=_MAX_MIRRORED) for name in below.values}
    if len(mirrored) > 1:
        fields.problem("mirror_traffic", "names at most one deployment")
    for name in mirrored:
        if name not in names:
            below.problem(name, "is not the live name of a deployment")
        if traffic.get(name):
            below.problem(name, "has traffic of its own; a mirror has none")
    return mirrored

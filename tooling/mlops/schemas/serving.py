"""How an endpoint is reached and watched, and how requests are put together: parts of `endpoint.yaml`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from mlops.schemas.fields import Document, Duration, Maybe, Memory, Percent, Text, VersionText

MACHINE_PATH_PATTERN = r"^(/|~/|\$\{env:[A-Za-z_][A-Za-z0-9_]*\})[^\x00-\x1f]*$"
"""Paths on the machine that serves: absolute, below the home folder, or beginning with an environment variable."""

_LONGEST = 1024
"""Characters of a path."""

_MACHINE_PATH = re.compile(MACHINE_PATH_PATTERN)
_ADDRESS = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?")


def _machine_path(value: str) -> str:
    if not _MACHINE_PATH.fullmatch(value) or len(value) > _LONGEST:
        raise ValueError(
            f'"{value}" would lie in the repository, and a private key and what renews with it may not: '
            "write an absolute path, one below ~/, or one that begins with ${env:NAME}."
        )
    return value


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError(f'"{value}" is no plain http or https address: write for example http://127.0.0.1:4318.')
    return value


MachinePath = Annotated[
    str,
    AfterValidator(_machine_path),
    WithJsonSchema({"type": "string", "pattern": MACHINE_PATH_PATTERN, "maxLength": 1024}),
]
Address = Annotated[str, Field(max_length=1024), AfterValidator(_address)]


class Tls(Document):
    """The certificate that clients see; both files are outside of the repository and read again when they change."""

    certificate: MachinePath = Field(
        description="PEM file with the certificate and its chain: absolute, below ~/, or beginning with ${env:NAME}."
    )
    key: MachinePath = Field(
        description="PEM file with the private key: absolute, below ~/, or beginning with ${env:NAME}."
    )


class Telemetry(Document):
    """Where traces and metrics are sent, by the gateway and by every deployment, and what the gateway logs."""

    otlp_endpoint: Maybe[Address] = Field(
        default=None,
        description="Address of an OpenTelemetry collector that speaks OTLP over HTTP, such as http://127.0.0.1:4318. "
        "Nothing is sent if unset.",
    )
    sampling_ratio: Maybe[Percent] = Field(
        default=None, description="Share of the traces that begin here and are kept, such as 10% or 0.1; all if unset."
    )
    access_log: Maybe[Percent] = Field(
        default=None,
        description="Share of the requests about which the gateway logs a line, such as 1%; where it is above 0, every "
        "5xx has one. None if unset.",
    )


class Limits(Document):
    """What one client, and all together, may make the gateway hold."""

    max_body_size: Maybe[Memory] = Field(
        default=None, description="Largest body of a request, such as 10Mi; 64Mi, which is also the most, if unset."
    )
    max_connections: Maybe[Annotated[int, Field(ge=1, le=100_000)]] = Field(
        default=None, description="Open connections of all clients; 2048 if unset."
    )
    head_timeout: Maybe[Duration] = Field(
        default=None, description="How long a client may take to send a request's headers; 10s if unset."
    )
    body_timeout: Maybe[Duration] = Field(
        default=None, description="How long a client may take to send a request's body; 2m if unset."
    )
    idle_timeout: Maybe[Duration] = Field(
        default=None, description="How long a connection may be silent between two requests; 75s if unset."
    )


class Batching(Document):
    """Requests that are given to the model together; for models that are served without code."""

    max_batch_size: Annotated[int, Field(ge=2, le=4096)] = Field(description="Most rows that are given together.")
    max_delay_ms: Annotated[int, Field(ge=0, le=10_000)] = Field(
        description="Milliseconds that the first request of a batch waits for others at most."
    )


class CollectedData(Document):
    """Where Azure ML writes a collection."""

    name: Maybe[Text] = Field(default=None, description="Name of the data asset.")
    path: Maybe[Text] = Field(default=None, description="Address of the folder in a datastore.")
    version: Maybe[VersionText] = Field(default=None, description="Version of the data asset.")
    data_id: Maybe[Text] = Field(default=None, description="Identifier of the data asset.")

"""Sending a request to an endpoint of this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote

from mlops.driver import Answer
from mlops.drivers.local import admin
from mlops.drivers.local.home import Home
from mlops.drivers.local.watching import mapping
from mlops.errors import Diagnostic, NotFound, TargetError, did_you_mean
from mlops.resource import Address

TIMEOUT = 330.0
"""Seconds; the gateway answers 504 earlier, for Azure ML's longest request timeout is 300 s."""


def score(home: Home, address: Address, body: bytes, deployment: str | None) -> Answer:
    """Score one request.

    Args:
        home: The endpoint's folder.
        address: Its address, for errors.
        body: The request's body, JSON.
        deployment: None: as the weights say. A live name: that deployment, whatever its weight, and counted nowhere. A
            declared name: as a client that sends the deployment header.

    Raises:
        NotFound: There is no such deployment.
        TargetError: Nothing answered.
    """
    try:
        if deployment is None:
            return _by_traffic(home, body, {})
        document = mapping(json.loads(home.configuration.read_bytes()))
        live, aliases = mapping(document.get("deployments")), mapping(document.get("aliases"))
        if deployment in live:
            path = f"/score/{quote(deployment, safe='')}"
            return Answer(*admin.exchange_fully(home, "POST", path, body, TIMEOUT))
        if deployment in aliases:
            return _by_traffic(home, body, {"azureml-model-deployment": deployment})
    except (OSError, ValueError) as error:
        raise TargetError(
            Diagnostic(
                "Nothing answered",
                f"{address} does not answer on port {home.port}: {error}.",
                todo="See how it is; if it is gone, apply its stage.",
                command="mlops status",
            )
        ) from error
    known = [*aliases, *live]
    raise NotFound(
        Diagnostic(
            "No such deployment",
            f'{address} has no deployment "{deployment}". {did_you_mean(deployment, known)}'.rstrip(),
            todo=f"It has {', '.join(known) or 'none'}.",
        )
    )


def _by_traffic(home: Home, body: bytes, headers: Mapping[str, str]) -> Answer:
    """As a client's request goes, but by the admin socket, where nobody asks for a key or a certificate."""
    return Answer(*admin.exchange_fully(home, "POST", "/score", body, TIMEOUT, headers))

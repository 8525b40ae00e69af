"""Rules between the fields of an endpoint that say how it is reached, watched, mirrored and batched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlops.errors import did_you_mean
from mlops.schemas.problems import Problem
from mlops.schemas.quantities import parse_memory

_PLACES = {"model_inputs": "inputs", "model_outputs": "outputs", "request": "request", "response": "response"}
"""Collections that are filled without code, and the folders in which they are kept."""

_WITH_HEADERS = frozenset({"model_inputs", "request"})
"""Collections beside whose events the headers of their requests are written."""

_NEVER_CAPTURED = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
"""Headers that the scoring server never writes."""

_LARGEST_BODY = 64 * 2**20
_SHORTEST, _LONGEST = 0.1, 86400.0


def serving_problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """What breaks a rule among these fields of an endpoint."""
    yield from _mirroring(data)
    yield from _tls(data)
    yield from _limits(data.get("limits", {}))
    for name, deployment in data["deployments"].items():
        yield from _collecting(name, deployment)
        yield from _capturing(name, deployment.get("data_collector", {}))
        yield from _batching(name, deployment)


def _mirroring(data: Mapping[str, Any]) -> Iterator[Problem]:
    mirrored: Mapping[str, int] = data.get("mirror_traffic", {})
    deployments = data["deployments"]
    if len(mirrored) > 1:
        detail = f"Requests are mirrored to one deployment, and {', '.join(mirrored)} are named."
        yield Problem(("mirror_traffic",), "Mirrored to several deployments", detail, "Name one.")
    traffic = data.get("traffic") or (dict.fromkeys(deployments, 100) if len(deployments) == 1 else {})
    for name in mirrored:
        path = ("mirror_traffic", name)
        if name not in deployments:
            todo = did_you_mean(name, list(deployments)) or f"Deployments: {', '.join(deployments)}."
            yield Problem(path, "Unknown deployment", f'There is no deployment "{name}".', todo, at_key=True)
        elif traffic.get(name):
            detail = f"{name} has {traffic[name]} % of the traffic; copies would reach it beside its own requests."
            todo = "Mirror to a deployment without traffic, or take its traffic away."
            yield Problem(path, "Mirrored to a deployment with traffic", detail, todo, at_key=True)
    if mirrored and not sum(traffic.values()):
        detail = "No deployment has traffic, so there is nothing to copy."
        yield Problem(("mirror_traffic",), "Key without effect", detail, "Give one traffic, or remove it.", at_key=True)


def _tls(data: Mapping[str, Any]) -> Iterator[Problem]:
    tls = data.get("tls", {})
    if tls and tls["certificate"] == tls["key"]:
        detail = f"certificate and key are both {tls['key']}."
        todo = "Put the private key into a file of its own, which others need not read."
        yield Problem(("tls", "key"), "Certificate and key are one file", detail, todo)


def _limits(limits: Mapping[str, Any]) -> Iterator[Problem]:
    largest = limits.get("max_body_size")
    if largest is not None and parse_memory(largest) > _LARGEST_BODY:
        detail = f"{largest} is more than 64Mi, the most that a worker takes."
        yield Problem(("limits", "max_body_size"), "Invalid value", detail, "Write 64Mi or less.")
    for name in ("head_timeout", "body_timeout", "idle_timeout"):
        if not _SHORTEST <= limits.get(name, 1.0) <= _LONGEST:
            detail = f"{name} is {limits[name]:g} s."
            yield Problem(("limits", name), "Invalid value", detail, "Write a duration from 100ms to 1d.")


def _collecting(name: str, deployment: Mapping[str, Any]) -> Iterator[Problem]:
    collections: Mapping[str, Mapping[str, Any]] = deployment.get("data_collector", {}).get("collections", {})
    places: dict[str, str] = {}
    for called, collection in collections.items():
        path = ("deployments", name, "data_collector", "collections", called)
        place = _PLACES.get(called.lower(), called.lower())
        if (other := places.setdefault(place, called)) != called:
            detail = f'"{called}" and "{other}" would be kept in one place, {place}.'
            yield Problem(path, "Collections kept in one place", detail, "Name one of them otherwise.", at_key=True)
        elif "code_configuration" not in deployment and called.lower() not in _PLACES:
            detail = f"Nothing fills {called}: {name} has no entry script."
            todo = did_you_mean(called, sorted(_PLACES)) or f"Write {', '.join(_PLACES)}, or remove it."
            yield Problem(path, "Collection that nothing fills", detail, todo, at_key=True)
        if both := sorted(set(collection.get("deny", ())) & set(collection.get("hash", ()))):
            detail = f"{', '.join(both)} can be left out or hashed, and not both."
            yield Problem((*path, "hash"), "Keys exclude each other", detail, "Name it in one of them.", at_key=True)


def _capturing(name: str, collector: Mapping[str, Any]) -> Iterator[Problem]:
    path = ("deployments", name, "data_collector", "request_logging", "capture_headers")
    headers: Sequence[str] = collector.get("request_logging", {}).get("capture_headers", ())
    for index, header in enumerate(headers):
        if header.lower() in _NEVER_CAPTURED:
            detail = f"{header} holds what opens an endpoint, and is never kept."
            yield Problem((*path, index), "Header is never kept", detail, "Remove it.")
    collections: Mapping[str, Mapping[str, Any]] = collector.get("collections", {})
    kept = {called.lower() for called, collection in collections.items() if collection.get("enabled", True)}
    if headers and not kept & _WITH_HEADERS:
        detail = "Headers are written beside model_inputs and request, and neither is collected."
        yield Problem(path, "Key without effect", detail, "Collect request or model_inputs, or remove it.", at_key=True)


def _batching(name: str, deployment: Mapping[str, Any]) -> Iterator[Problem]:
    if "batching" not in deployment:
        return
    path = ("deployments", name, "batching")
    if "code_configuration" in deployment:
        detail = f"The entry script of {name} gets requests one by one."
        todo = "Remove it, or serve the model without code_configuration."
        yield Problem(path, "Key without effect", detail, todo, at_key=True)
        return
    if deployment.get("request_settings", {}).get("max_concurrent_requests_per_instance", 1) < 2:
        size = deployment["batching"]["max_batch_size"]
        detail = "An instance handles one request at once, so there are never two to put together."
        todo = f"Write request_settings: {{max_concurrent_requests_per_instance: {size}}}, or remove it."
        yield Problem(path, "Key without effect", detail, todo, at_key=True)

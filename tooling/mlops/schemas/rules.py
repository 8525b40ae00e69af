"""What no single field can say: rules between the fields of one document, over its clean data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from posixpath import normpath
from typing import Any, assert_never

from mlops import __version__
from mlops.errors import did_you_mean
from mlops.resource import JSON
from mlops.schemas.kinds import DocumentKind
from mlops.schemas.problems import Problem
from mlops.schemas.quantities import parse_cpu, parse_memory
from mlops.schemas.serving_rules import serving_problems

_PRIVATE = ".mlops"
"""The folder that Git never tracks; a repository that does is refused."""

OTHER_TOOLKIT = "Another version of the toolkit is required"
"""The summary of the one problem beside which no other counts."""


def rule_problems(kind: DocumentKind, data: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that breaks a rule in a document whose fields are valid, each for itself."""
    match kind:
        case DocumentKind.PROJECT:
            yield from _project(data)
        case DocumentKind.MODEL:
            yield from _model(data)
        case DocumentKind.ENVIRONMENT:
            yield from _environment(data)
        case DocumentKind.ENDPOINT:
            yield from _endpoint(data)
        case DocumentKind.TOMBSTONES | DocumentKind.BASE:
            return
        case _:
            assert_never(kind)


def required_version_problem(text: JSON) -> Problem | None:
    """Whether this toolkit may read a repository that asks for these versions (PEP 440)."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - only on a cache miss

    path = ("required_version",)
    try:
        accepted = SpecifierSet(str(text))
    except InvalidSpecifier:
        todo = 'Write for example required_version: ">=0.1,<1".'
        return Problem(path, "Invalid value", f'"{text}" is no version specifier.', todo)
    if accepted.contains(__version__, prereleases=True):
        return None
    return Problem(
        path,
        OTHER_TOOLKIT,
        f"This repository asks for {text}; this is {__version__}.",
        "Install a version that fits.",
        f"pip install 'mlops-gitops{text}'",
    )


def _project(data: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _registry(data)
    for section in ("stages", "computes"):
        seen: dict[str, str] = {}
        for name in data.get(section, {}):
            if (other := seen.setdefault(name.lower(), name)) != name:
                detail = f'"{name}" and "{other}" differ only in case.'
                yield Problem((section, name), "Names differ only in case", detail, "Rename one of them.", at_key=True)


def _registry(data: Mapping[str, Any]) -> Iterator[Problem]:
    """A registry is believed, so it lies where Git tracks nothing: a pull request could bring one."""
    path = data.get("registry", {}).get("path")
    if path is None or normpath(path).startswith(f"{_PRIVATE}/"):
        return
    leaves = normpath(path).split("/")[0] == ".."
    detail = f'"{path}" does.' if leaves else f'"{path}" is not below {_PRIVATE}, and what Git brings is not trusted.'
    todo = f"Write a folder such as {_PRIVATE}/registry, or remove the key."
    summary = "Path leaves the repository" if leaves else "Registry in the wrong place"
    yield Problem(("registry", "path"), summary, detail, todo)


def _model(data: Mapping[str, Any]) -> Iterator[Problem]:
    for name in data.get("files", {}):
        if normpath(name) != name or name.startswith("../"):
            todo = "Write it as it lies below the model's folder, without . and .. in it."
            yield Problem(("files", name), "Invalid name", f'"{name}" is no plain name of a file.', todo, at_key=True)
    if "path" in data and ("uri" in data or "files" in data):
        other = "uri" if "uri" in data else "files"
        detail = f'"path" and "{other}" both say where the content is.'
        yield Problem((other,), "Keys exclude each other", detail, "Keep one of them.", at_key=True)
    elif not {"path", "uri", "files"} & data.keys():
        todo = "Write path (a file beside this one), uri, or files (digests of content in the blob store)."
        yield Problem((), "Missing key", "Nothing says where the model's content is.", todo)


def _environment(data: Mapping[str, Any]) -> Iterator[Problem]:
    if not {"image", "conda_file", "requirements"} & data.keys():
        todo = "Write requirements (pip), conda_file or image."
        yield Problem((), "Missing key", "Nothing says what the environment holds.", todo)
    if "conda_file" in data and "requirements" in data:
        todo = "Write pip packages into the Conda file's pip section, or leave conda_file out."
        detail = '"conda_file" and "requirements" both list packages.'
        yield Problem(("requirements",), "Keys exclude each other", detail, todo, at_key=True)


def _endpoint(data: Mapping[str, Any]) -> Iterator[Problem]:
    deployments = data["deployments"]
    yield from _traffic(data, deployments)
    yield from _rollout(data)
    yield from serving_problems(data)
    wanted = data.get("sample_request", {}).get("deployment")
    if wanted is not None and wanted not in deployments:
        yield _no_deployment(("sample_request", "deployment"), wanted, deployments)
    for name, deployment in deployments.items():
        yield from _scaling(name, deployment)
        yield from _resources(name, deployment.get("resources", {}))


def _traffic(data: Mapping[str, Any], deployments: Mapping[str, Any]) -> Iterator[Problem]:
    traffic = data.get("traffic")
    if traffic is None:
        if len(deployments) > 1:
            detail = "With several deployments, nothing says which of them answers."
            todo = f"Write for example traffic: {{{next(iter(deployments))}: 100}}."
            yield Problem(("deployments",), "Traffic is not split", detail, todo, at_key=True)
        return
    for name in traffic:
        if name not in deployments:
            yield _no_deployment(("traffic", name), name, deployments)
    total = sum(traffic.values())
    if total not in (0, 100):
        detail = f"The weights add up to {total}."
        yield Problem(("traffic",), "Traffic adds up to neither 0 nor 100", detail, "Make them add up to 100, or to 0.")


def _no_deployment(path: tuple[str, ...], name: str, deployments: Mapping[str, Any]) -> Problem:
    todo = did_you_mean(name, list(deployments)) or f"Deployments: {', '.join(deployments)}."
    return Problem(path, "Unknown deployment", f'There is no deployment "{name}".', todo)


def _rollout(data: Mapping[str, Any]) -> Iterator[Problem]:
    rollout = data.get("rollout", {})
    strategy = rollout.get("strategy")
    weights = rollout.get("weights")
    if strategy == "canary" and weights is None:
        todo = "Write for example weights: [10, 50]."
        yield Problem(("rollout",), "Missing key", "A canary rollout needs weights.", todo)
    if strategy != "canary" and weights is not None:
        detail = f"{strategy} has no weights."
        yield Problem(("rollout", "weights"), "Key without effect", detail, "Remove it, or choose canary.", at_key=True)
    if weights is not None and any(later <= earlier for earlier, later in pairwise(weights)):
        yield Problem(("rollout", "weights"), "Invalid value", f"{weights} does not rise.", "Write rising weights.")
    if strategy == "all_at_once" and "soak" in rollout:
        todo = "Remove it, or choose canary or blue_green."
        yield Problem(("rollout", "soak"), "Key without effect", "all_at_once has no steps to soak.", todo, at_key=True)
    checks = rollout.get("checks", {})
    if checks.get("sample_request") and "sample_request" not in data:
        todo = "Declare sample_request, or remove the check."
        detail = "The endpoint has no sample request."
        yield Problem(("rollout", "checks", "sample_request"), "Check that cannot be made", detail, todo)
    yield from _counting(rollout, checks)


def _counting(rollout: Mapping[str, Any], checks: Mapping[str, Any]) -> Iterator[Problem]:
    """Checks that count requests: each needs steps at which they are counted, and time in which they come."""

    def idle(key: str, detail: str, todo: str) -> Problem:
        return Problem(("rollout", "checks", key), "Key without effect", detail, todo, at_key=True)

    counted = [key for key in ("max_error_rate", "min_requests", "deadline") if key in checks]
    if rollout.get("strategy") == "all_at_once":
        todo = "Remove it, or choose canary or blue_green."
        yield from (idle(key, "all_at_once has no step at which requests are counted.", todo) for key in counted)
    elif "min_requests" in checks and "max_error_rate" not in checks:
        yield idle(
            "min_requests", "Requests are counted for max_error_rate only.", "Write max_error_rate, or remove it."
        )
    elif "deadline" in checks and not checks.get("min_requests"):
        yield idle("deadline", "Only min_requests is waited for.", "Write min_requests, or remove it.")
    elif "max_error_rate" in checks and not checks.get("min_requests") and not rollout.get("soak"):
        detail = "Nobody would wait for a request that could fail."
        yield idle("max_error_rate", detail, "Write soak or min_requests too, or remove it.")


def _scaling(name: str, deployment: Mapping[str, Any]) -> Iterator[Problem]:
    settings = deployment.get("scale_settings")
    if settings is None:
        return
    path = ("deployments", name, "scale_settings")
    if settings["type"] == "default":
        for key in settings:
            if key != "type":
                todo = "Remove it, or write type: target_utilization."
                yield Problem((*path, key), "Key without effect", "type default does not scale.", todo, at_key=True)
        return
    if "instance_count" in deployment:
        detail = "An autoscaler owns the number of instances; instance_count would fight it."
        todo = "Remove instance_count, or write scale_settings: {type: default}."
        yield Problem(("deployments", name, "instance_count"), "Keys exclude each other", detail, todo, at_key=True)
    least, most = settings.get("min_instances", 1), settings.get("max_instances", 1)
    if least > most:
        detail = f"min_instances is {least} and max_instances {most}."
        yield Problem((*path,), "Invalid value", detail, "Make max_instances at least min_instances.")


def _resources(name: str, resources: Mapping[str, Any]) -> Iterator[Problem]:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for key, parse in (("cpu", parse_cpu), ("memory", parse_memory), ("gpu", int)):
        if key in requests and key in limits and parse(limits[key]) < parse(requests[key]):
            path = ("deployments", name, "resources", "limits", key)
            detail = f"The limit {limits[key]} is below the request {requests[key]}."
            yield Problem(path, "Invalid value", detail, "Raise the limit, or lower the request.")

"""How a live endpoint is called: its OpenAPI document, and programs that call it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops.driver import Answer, Describing
from mlops.errors import Diagnostic, NotFound, TargetError
from mlops.pipeline.reaching import live_endpoint, live_name, not_reachable
from mlops.pipeline.serving import sample_request
from mlops.pipeline.workspace import Workspace
from mlops.reports.clients import Call, Language, render_client
from mlops.reports.clients.call import body_text
from mlops.reports.openapi import Facts, complete, names_fields, render_openapi
from mlops.resource import Address, Observed
from mlops.rollout import traffic_of

__all__ = ["Language", "client", "openapi", "swagger", "without_fields"]

_OPENAPI = ("3.1", "3")
_SWAGGER = ("2",)


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """A live endpoint that can say what it takes."""

    workspace: Workspace
    stage: str
    observed: Observed
    driver: Describing

    @property
    def address(self) -> Address:
        return self.observed.address

    @property
    def guarded(self) -> bool:
        return self.observed.spec.get("auth_mode", "none") != "none"

    @property
    def uri(self) -> str:
        return self.observed.outputs["scoring_uri"]

    @property
    def name(self) -> str:
        return self.address.name.partition("@")[0]


def openapi(workspace: Workspace, stage: str, address: Address, deployment: str | None = None) -> str:
    """The OpenAPI 3 document of a live endpoint; 3.1 where its model can be described so.

    Args:
        workspace: The opened repository.
        stage: The stage.
        address: Which endpoint.
        deployment: Declared or live name of the deployment that describes itself; None: the one with most traffic.

    Raises:
        NotFound: It is not live, or has no such deployment, or describes itself nowhere.
        Blocked: Its compute does not tell.
        TargetError: Nothing answered.
    """
    return _described(_endpoint(workspace, stage, address), deployment, _OPENAPI)


def swagger(workspace: Workspace, stage: str, address: Address, deployment: str | None = None) -> str:
    """The Swagger 2.0 document of a live endpoint, which Power BI reads; arguments and errors as of `openapi`."""
    return _described(_endpoint(workspace, stage, address), deployment, _SWAGGER)


def without_fields(document: str) -> Diagnostic | None:
    """What to tell of a Swagger 2.0 document from which a tool can make no parameters; None where it can."""
    if names_fields(json.loads(document)):
        return None
    return Diagnostic(
        "Request is not described",
        "The document does not say of which fields a request consists, so tools make no parameters of it.",
        todo="Describe what run() takes by inference-schema's decorators, or put a swagger.json beside the script.",
    )


def client(workspace: Workspace, stage: str, address: Address, language: Language) -> str:
    """A program that sends the endpoint's sample request.

    Raises:
        NotFound: It is not live, or declares no sample request.
        Blocked: Its compute does not tell, or its sample request is no text.
    """
    endpoint = _endpoint(workspace, stage, address)
    body = body_text(sample_request(workspace, stage, address), f"The sample request of {address}")
    mode = endpoint.observed.spec.get("auth_mode", "none")
    what = "--token" if mode == "aml_token" else "--key primary"
    obtain = f"mlops credentials {endpoint.name} --stage {stage} {what}"
    return render_client(language, Call(endpoint.uri, body, endpoint.guarded, obtain))


def _endpoint(workspace: Workspace, stage: str, address: Address) -> _Endpoint:
    driver = workspace.compute(stage, str(address.compute))
    observed = live_endpoint(driver, address, stage)
    if not isinstance(driver, Describing) or "scoring_uri" not in observed.outputs:
        raise not_reachable(address)
    return _Endpoint(workspace, stage, observed, driver)


def _described(endpoint: _Endpoint, deployment: str | None, versions: tuple[str, ...]) -> str:
    name = live_name(endpoint.observed, deployment or _most_used(endpoint.observed))
    answer = Answer(404, {}, b"")
    for version in versions:
        answer = endpoint.driver.describe(endpoint.address, name, version)
        if answer.status == 200:
            return render_openapi(complete(_document(answer, endpoint.address), _facts(endpoint)))
    raise _not_described(endpoint.address, name, answer)


def _most_used(observed: Observed) -> str:
    weights = traffic_of(observed.spec)
    deployments = observed.spec.get("deployments")
    names = sorted(deployments) if isinstance(deployments, Mapping) else []
    if not names:
        raise NotFound(Diagnostic("No deployment", f"{observed.address} is live without any deployment."))
    return max(names, key=lambda name: weights.get(name, 0))


def _facts(endpoint: _Endpoint) -> Facts:
    description = endpoint.observed.spec.get("description")
    try:
        sample = json.loads(sample_request(endpoint.workspace, endpoint.stage, endpoint.address))
    except (NotFound, ValueError):
        sample = None
    return Facts(
        endpoint.name,
        endpoint.uri,
        endpoint.guarded,
        description if isinstance(description, str) else "",
        sample,
    )


def _document(answer: Answer, address: Address) -> Mapping[str, Any]:
    try:
        document = json.loads(answer.body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise TargetError(Diagnostic("Not an OpenAPI document", f"{address} answered something else than JSON."))
    return document


def _not_described(address: Address, name: str, answer: Answer) -> NotFound | TargetError:
    said = answer.body.decode("utf-8", "replace").strip()
    detail = f"{name} of {address} answered {answer.status}: {said}"
    if answer.status == 404:
        todo = "Describe what run() takes by inference-schema's decorators, or put a swagger document beside it."
        return NotFound(Diagnostic("Endpoint does not describe itself", detail, todo=todo))
    command = f"mlops logs {address.name.partition('@')[0]} --deployment {name}"
    return TargetError(Diagnostic("Endpoint did not describe itself", detail, todo="See its log:", command=command))

"""`mlops score` and `mlops logs`: what an endpoint answers, and what it says."""

from __future__ import annotations

from collections.abc import Mapping

from mlops.driver import Answer, Driver, Serving
from mlops.errors import Diagnostic, NotFound
from mlops.pipeline.reaching import live_endpoint, live_name, not_reachable
from mlops.pipeline.workspace import Workspace
from mlops.resource import Address


def _serving(workspace: Workspace, stage: str, address: Address) -> tuple[Driver, Serving]:
    driver = workspace.compute(stage, str(address.compute))
    if not isinstance(driver, Serving):
        raise not_reachable(address)
    return driver, driver


def sample_request(workspace: Workspace, stage: str, address: Address) -> bytes:
    """The sample request that an endpoint declares.

    Raises:
        NotFound: It declares none.
    """
    name = address.name.partition("@")[0]
    endpoint = workspace.repository.endpoints.get(name)
    document = endpoint.stages.get(stage) if endpoint is not None else None
    sample = document.data.get("sample_request") if document is not None else None
    request = sample.get("request") if isinstance(sample, Mapping) else None
    if not isinstance(request, str) or endpoint is None:
        todo = "Declare `sample_request` in its endpoint.yaml, or give a file, or - for standard input."
        raise NotFound(Diagnostic("No sample request", f"{address} declares none.", todo=todo))
    return (workspace.root / "endpoints" / name / request).read_bytes()


def score(workspace: Workspace, stage: str, address: Address, body: bytes, deployment: str | None = None) -> Answer:
    """Send one request, as a client would or to one deployment.

    Args:
        workspace: The opened repository.
        stage: The stage.
        address: Which endpoint.
        body: The request's body.
        deployment: Declared or live name of a deployment; None: traffic decides.

    Raises:
        NotFound: It is not live, or has no such deployment.
        TargetError: Nothing answered.
    """
    driver, serving = _serving(workspace, stage, address)
    observed = live_endpoint(driver, address, stage)
    return serving.score(address, body, live_name(observed, deployment) if deployment is not None else None)


def logs(workspace: Workspace, stage: str, address: Address, deployment: str | None, lines: int) -> tuple[str, ...]:
    """The last lines of an endpoint's logs, oldest first.

    Args:
        workspace: The opened repository.
        stage: The stage.
        address: Which endpoint.
        deployment: Declared or live name of a deployment; None: all.
        lines: At most so many.

    Raises:
        NotFound: It has no such deployment.
        TargetError: They cannot be read.
    """
    driver, serving = _serving(workspace, stage, address)
    name = deployment
    if deployment is not None:
        name = live_name(live_endpoint(driver, address, stage), deployment)
    return tuple(serving.logs(address, name, lines))

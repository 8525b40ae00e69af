"""`mlops score` and `mlops logs`: what an endpoint answers, and what it says."""

from __future__ import annotations

from collections.abc import Mapping

from mlops.driver import Answer, Driver, Serving
from mlops.errors import Blocked, Diagnostic, NotFound, did_you_mean
from mlops.pipeline.workspace import Workspace
from mlops.resource import Address, Kind, Observed
from mlops.rollout import DECLARED_NAME


def _addresses(workspace: Workspace, stage: str) -> tuple[Address, ...]:
    """The endpoints that are declared for a stage."""
    workspace.stage_options(stage)
    found = []
    for name, endpoint in workspace.repository.endpoints.items():
        document = endpoint.stages.get(stage)
        if document is not None:
            found.append(Address(Kind.ENDPOINT, f"{name}@{document.data.get('compute')}"))
    return tuple(sorted(found))


def endpoint_address(workspace: Workspace, stage: str, text: str) -> Address:
    """The endpoint that a user means by `digits`, `digits@local-dev` or `endpoint/digits@local-dev`.

    Raises:
        NotFound: The stage declares no such endpoint.
    """
    name = text.removeprefix(f"{Kind.ENDPOINT.value}/")
    declared = _addresses(workspace, stage)
    for address in declared:
        if name in (address.name, address.name.partition("@")[0]):
            return address
    if "@" in name and name.rpartition("@")[2] in workspace.repository.computes:
        return Address(Kind.ENDPOINT, name)
    names = [address.name.partition("@")[0] for address in declared]
    raise NotFound(
        Diagnostic(
            "No such endpoint",
            f'Stage {stage} declares no endpoint "{text}". {did_you_mean(name, names)}'.rstrip(),
            todo=f"It declares {', '.join(names) or 'none'}.",
        )
    )


def _serving(workspace: Workspace, stage: str, address: Address) -> tuple[Driver, Serving]:
    driver = workspace.compute(stage, str(address.compute))
    if not isinstance(driver, Serving):
        detail = f"{address} is on compute {address.compute}, which can neither be asked nor read from here."
        raise Blocked(Diagnostic("Not reachable from here", detail))
    return driver, driver


def _live(driver: Driver, address: Address, stage: str) -> Observed:
    for observed in driver.observe(frozenset({address})):
        if observed.address == address:
            return observed
    raise NotFound(
        Diagnostic(
            "Not live",
            f"{address} is declared and not live.",
            todo="Make it so:",
            command=f"mlops apply --stage {stage}",
        )
    )


def _live_name(observed: Observed, deployment: str) -> str:
    """The live name of a deployment; of two versions under one declared name, that with more traffic."""
    deployments, traffic = observed.spec.get("deployments"), observed.spec.get("traffic")
    known = deployments if isinstance(deployments, Mapping) else {}
    weights = traffic if isinstance(traffic, Mapping) else {}
    if deployment in known:
        return deployment
    declared = {n: str(d.get(DECLARED_NAME)) for n, d in known.items() if isinstance(d, Mapping)}
    matching = [name for name, was in declared.items() if was == deployment]
    if not matching:
        names = sorted({*declared, *declared.values()})
        detail = f'{observed.address} has no deployment "{deployment}". {did_you_mean(deployment, names)}'.rstrip()
        raise NotFound(Diagnostic("No such deployment", detail, todo=f"It has {', '.join(names) or 'none'}."))

    def weight(name: str) -> float:
        value = weights.get(name, 0)
        return value if isinstance(value, int | float) else 0

    return max(matching, key=weight)


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
    observed = _live(driver, address, stage)
    return serving.score(address, body, _live_name(observed, deployment) if deployment is not None else None)


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
        name = _live_name(_live(driver, address, stage), deployment)
    return tuple(serving.logs(address, name, lines))

"""Which endpoint and which deployment a user means, among those that are declared and live."""

from __future__ import annotations

from collections.abc import Mapping

from mlops.driver import Driver
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


def live_endpoint(driver: Driver, address: Address, stage: str) -> Observed:
    """The endpoint as it is live.

    Raises:
        NotFound: It is declared and not live.
    """
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


def live_name(observed: Observed, deployment: str) -> str:
    """The live name of a deployment; of two versions under one declared name, that with more traffic.

    Raises:
        NotFound: The endpoint has no such deployment.
    """
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


def not_reachable(address: Address) -> Blocked:
    """The error that an endpoint's compute does not offer what is asked for from here."""
    detail = f"{address} is on compute {address.compute}, which can neither be asked nor read from here."
    return Blocked(Diagnostic("Not reachable from here", detail))

"""A small world for the engine: a registry and two computes in memory, and what is declared for them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.unit.engine.journal import PROJECT, Journal, ManualClock

from mlops.apply import Execution, Progress, apply_sections
from mlops.apply.perform import Site
from mlops.driver import Scope
from mlops.drivers.memory import MemoryDriver, MemoryTarget, target
from mlops.ledger.state import State
from mlops.plan import (
    Action,
    Plan,
    Section,
    digests_of,
    keep_needed,
    left_over,
    plan_section,
)
from mlops.plan.change import Change
from mlops.plan.wanted import Target, Wanted
from mlops.resource import (
    JSON,
    SHARED,
    Address,
    Checks,
    Health,
    HealthState,
    Kind,
    Observed,
    Resource,
    Rollout,
    Spec,
    Stamp,
    digest,
)

STAGE = "dev"
WEST = "west"
EAST = "east"
REGISTRY = "registry"


class Samples:
    """Content by digest, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, sha256: str) -> bool:
        return (self.folder / sha256).exists()

    def path(self, sha256: str) -> Path:
        return self.folder / sha256

    def add(self, source: Path, sha256: str) -> None:
        (self.folder / sha256).write_bytes(source.read_bytes())


class World:
    """A registry, two computes, and the ledgers of `shared` and of one stage."""

    _count = itertools.count()

    def __init__(self, *, samples: Path | None = None, rules: Mapping[str, type[MemoryDriver]] | None = None) -> None:
        number = next(self._count)
        self.clock = ManualClock()
        self.journals = {stage: Journal(stage, self.clock) for stage in (SHARED, STAGE)}
        self.blobs = Samples(samples) if samples is not None else None
        self.stop = threading.Event()
        self.progress: list[Progress] = []
        self.targets: dict[str, MemoryTarget] = {}
        self.drivers: dict[str, dict[str, MemoryDriver]] = {SHARED: {}, STAGE: {}}
        for stage, name in ((SHARED, REGISTRY), (STAGE, WEST), (STAGE, EAST)):
            options: dict[str, JSON] = {"target": f"{name}-{number}"}
            self.targets[name] = target(f"{name}-{number}")
            make = (rules or {}).get(name, MemoryDriver)
            self.drivers[stage][name] = make(Scope(PROJECT, stage, name, Path(), options))

    @property
    def west(self) -> MemoryTarget:
        return self.targets[WEST]

    @property
    def registry(self) -> MemoryTarget:
        return self.targets[REGISTRY]

    @property
    def state(self) -> State:
        return self.journals[STAGE].state

    def live(self) -> dict[Address, Observed]:
        return {a: o for far in self.targets.values() for a, o in far.objects.items()}

    def plan(self, resources: Iterable[Resource], *, retry: Iterable[Address] = (), protect: bool = False) -> Plan:
        declared = tuple(resources)
        users: dict[Address, tuple[str, ...]] = {}
        for resource in sorted(declared, key=lambda r: r.address):
            for used in resource.after | {Address.parse(w) for w in resource.waits}:
                users[used] = (*users.get(used, ()), str(resource.address))
        shared = self._section(SHARED, [r for r in declared if r.driver == REGISTRY], in_use=users)
        stuck = (Action.WAIT, Action.BLOCKED)
        present = {c.address: c.reason if c.action in stuck else None for c in shared.changes}
        mine = [r for r in declared if r.driver != REGISTRY]
        stage = self._section(STAGE, mine, present=present, retry=frozenset(retry), protect=protect)
        shared = keep_needed(shared, stage.changes)
        return Plan(PROJECT, STAGE, (shared, stage), digests_of((shared, stage)))

    def _section(self, stage: str, resources: list[Resource], **options: object) -> Section:
        observed: list[Observed] = []
        drivers: dict[Address, str] = {}
        for name, driver in self.drivers[stage].items():
            for item in driver.observe():
                observed.append(item)
                drivers[item.address] = name
        targets = {name: Target(d.rules, d.traffic) for name, d in self.drivers[stage].items()}
        wanted = Wanted(
            PROJECT,
            stage,
            tuple(resources),
            tuple(observed),
            self.journals[stage].baseline(),
            targets,
            now=self.clock.time(),
            **options,  # type: ignore[arg-type]
        )
        return plan_section(wanted, drivers)

    def execute(self, plan: Plan, *, parallel: int = 4) -> Execution:
        """Lock, do and record, as the product's pipeline does."""
        sites = []
        for section in plan.sections:
            journal = self.journals[section.stage]
            if section.summary.effective or journal.state.run or left_over(section.changes, journal.state.intended):
                journal.begin(section.changes)
                sites.append((self.site(section.stage), section.changes))
        execution = apply_sections(sites, parallel=parallel)
        for site, changes in sites:
            self.journals[site.stage].end(execution.results.values(), changes)
        for result in execution.results.values():
            if result.error is not None:
                raise result.error
        return execution

    def site(self, stage: str = STAGE) -> Site:
        return Site(
            PROJECT,
            stage,
            self.drivers[stage],
            self.journals[stage],
            self.blobs,
            self.clock,
            self.stop,
            self.progress.append,
        )

    def apply(self, resources: Iterable[Resource], *, retry: Iterable[Address] = (), parallel: int = 4) -> Execution:
        return self.execute(self.plan(resources, retry=retry), parallel=parallel)


def model(name: str, version: str, content: str = "") -> Resource:
    sha256 = digest([name, version, content])
    spec: dict[str, JSON] = {"files": {"model.onnx": sha256}, "sha256": sha256}
    return Resource(Address(Kind.MODEL, f"{name}:{version}"), REGISTRY, spec)


def model_address(reference: str) -> Address:
    return Address(Kind.MODEL, reference)


def deployment(reference: str, **fields: JSON) -> dict[str, JSON]:
    """A resolved deployment that serves `name:version`."""
    name, _, version = reference.partition(":")
    return {"model": {"name": name, "version": version}, **fields}


def endpoint(  # noqa: PLR0913 - a builder of test data
    name: str,
    deployments: Mapping[str, Mapping[str, JSON]],
    *,
    traffic: Mapping[str, int] | None = None,
    rollout: Rollout | None = None,
    compute: str = WEST,
    protect: bool = False,
    waits: tuple[str, ...] = (),
    timeout: float | None = None,
    fields: Mapping[str, JSON] | None = None,
) -> Resource:
    """A resolved endpoint that comes after the models it serves."""
    if traffic is None:
        traffic = {next(iter(deployments)): 100}
    spec: dict[str, JSON] = {**(fields or {}), "deployments": dict(deployments), "traffic": dict(traffic)}
    references = [d["model"] for d in deployments.values()]
    after = {model_address(f"{r['name']}:{r['version']}") for r in references if isinstance(r, Mapping)}
    return Resource(
        Address(Kind.ENDPOINT, f"{name}@{compute}"),
        compute,
        spec,
        frozenset(after - {Address.parse(w) for w in waits}),
        waits=waits,
        protect=protect,
        rollout=rollout or Rollout(),
        timeout=timeout,
    )


def fraud(version: str, fields: Mapping[str, JSON] | None = None, *, rollout: Rollout | None = None) -> Resource:
    """The endpoint that most tests change: one deployment `blue` of `fraud:<version>`."""
    return endpoint("fraud", {"blue": deployment(f"fraud:{version}", **(fields or {}))}, rollout=rollout)


FRAUD = Address(Kind.ENDPOINT, f"fraud@{WEST}")
V1, V2, V3 = (model("fraud", version) for version in "123")
CANARY = Rollout("canary", (10, 50), 0.0, Checks(sample_request=False))


def versions(spec: Spec) -> dict[str, int]:
    """Model version to percent of traffic, of a live endpoint."""
    traffic = spec.get("traffic")
    deployments = spec.get("deployments")
    found: dict[str, int] = {}
    if isinstance(deployments, Mapping) and isinstance(traffic, Mapping):
        for live, value in deployments.items():
            if isinstance(value, Mapping) and isinstance(value["model"], Mapping):
                weight = traffic.get(live, 0)
                version = str(value["model"]["version"])
                found[version] = found.get(version, 0) + (weight if isinstance(weight, int) else 0)
    return found


def sick(*bad: str, state: HealthState = HealthState.FAILED) -> Callable[[Address, Spec], Health | None]:
    """A judge for whom an endpoint is unwell while a deployment of these model versions is live."""

    def judge(_address: Address, spec: Spec) -> Health | None:
        ill = sorted(set(versions(spec)) & set(bad))
        return Health(state, f"version {ill[0]} crashed") if ill else None

    return judge


def actions(plan: Plan) -> dict[str, str]:
    """Address to action, without what stays."""
    return {str(c.address): c.action.value for c in plan.changes if c.action is not Action.NONE}


def change_of(plan: Plan, address: Address = FRAUD) -> Change:
    return next(c for c in plan.changes if c.address == address)


def outcomes(execution: Execution) -> dict[str, str]:
    return {str(a): r.outcome.value for a, r in execution.results.items()}


def stamp(address: Address, goal: str = "0" * 64, *, stage: str = STAGE, project: str = PROJECT) -> Stamp:
    return Stamp(project, stage, str(address), goal)

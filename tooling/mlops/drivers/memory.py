"""A compute that lives in this process: for tests, demonstrations and trying out rules.

It behaves as a real target does, faults included: it counts its calls, can be slow, can fail before or after an
effect, serves with weights, and can scale by itself. Targets are found by name, so that drivers made one after the
other meet the same objects, as two processes meet the same cloud; with a file, several processes do.
"""

from __future__ import annotations

import fcntl
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from mlops.driver import Answer, Scope
from mlops.errors import Diagnostic, TargetError
from mlops.resource import (
    Address,
    FieldEffect,
    FieldRule,
    Health,
    HealthState,
    Observed,
    Resource,
    Spec,
    Stamp,
    Traffic,
    TrafficSupport,
)

Fault = Callable[[str, Address], None]
Scorer = Callable[[Mapping[str, object], bytes], Answer]


def _no_fault(_verb: str, _address: Address) -> None:
    return None


def _echo(deployment: Mapping[str, object], _body: bytes) -> Answer:
    model = deployment.get("model")
    version = model.get("version") if isinstance(model, Mapping) else None
    return Answer(200, {"content-type": "application/json"}, json.dumps({"version": version}).encode())


@dataclass
class MemoryTarget:
    """The far side: what is live, and how it misbehaves.

    Attributes:
        objects: What is live.
        calls: How often each verb was called.
        latency: Seconds that a put or delete takes.
        before: Called before an effect; may raise.
        after: Called after an effect, before the caller hears of it; may raise.
        health: Health by address, where it is not good.
        judge: Health from a spec; None keeps `health`.
        traffic: Counters by address and live deployment.
        scorer: Answers a request from the live deployment's spec.
    """

    objects: dict[Address, Observed] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    latency: float = 0.0
    before: Fault = _no_fault
    after: Fault = _no_fault
    health: dict[Address, Health] = field(default_factory=dict)
    judge: Callable[[Address, Spec], Health | None] | None = None
    traffic: dict[Address, dict[str, Traffic]] = field(default_factory=dict)
    scorer: Scorer = _echo
    lock: threading.Lock = field(default_factory=threading.Lock)


_TARGETS: dict[str, MemoryTarget] = {}


def target(name: str) -> MemoryTarget:
    """The target of this name in this process, made on first use."""
    return _TARGETS.setdefault(name, MemoryTarget())


def _read(data: bytes) -> dict[Address, Observed]:
    items = json.loads(data or b"[]")
    found = {}
    for item in items:
        address = Address.parse(item["address"])
        found[address] = Observed(address, item["spec"], Stamp.from_json(item["stamp"]), item["outputs"])
    return found


def _write(objects: Mapping[Address, Observed]) -> bytes:
    items = [
        {
            "address": str(o.address),
            "spec": o.spec,
            "stamp": o.stamp.to_json() if o.stamp is not None else None,
            "outputs": dict(o.outputs),
        }
        for o in objects.values()
    ]
    return json.dumps(items).encode()


class Options(BaseModel):
    """Options of a memory compute."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    target: str = Field(default="default", description="Name of the target within this process.")
    file: str | None = Field(
        default=None, description="Keep the objects in this file, so that several processes meet the same target."
    )


class MemoryDriver:
    """Objects in this process."""

    Spec: ClassVar[type[BaseModel]] = Options
    rules: ClassVar[tuple[FieldRule, ...]] = (
        FieldRule("zone", FieldEffect.REPLACE, "an endpoint cannot be moved to another zone"),
        FieldRule("deployments", FieldEffect.RESTART, "a deployment gets new content beside the old"),
        FieldRule("deployments.*.instance_count", FieldEffect.IN_PLACE, "replicas are added and removed while serving"),
        FieldRule(
            "deployments.*.instance_count",
            FieldEffect.IGNORED,
            "the autoscaler owns the number of instances",
            when=("deployments.*.scale_settings.type", "target_utilization"),
        ),
        FieldRule("files", FieldEffect.IMMUTABLE, "a version is immutable: declare a new one"),
    )
    traffic: ClassVar[TrafficSupport] = TrafficSupport.WEIGHTED
    refused: ClassVar[Mapping[str, str]] = {}
    is_local: ClassVar[bool] = True

    def __init__(self, scope: Scope) -> None:
        """Look at the target that the options name.

        Args:
            scope: Its option `target` names the target.
        """
        self._target = target(str(scope.options.get("target", "default")))
        file = scope.options.get("file")
        self._file = scope.root / file if isinstance(file, str) else None

    @contextmanager
    def _opened(self) -> Iterator[MemoryTarget]:
        """The target, alone; where it has a file, as the file has it."""
        with self._target.lock:
            if self._file is None:
                yield self._target
                return
            with self._file.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                before = self._file.read_bytes() if self._file.exists() else b""
                self._target.objects = _read(before)
                try:
                    yield self._target
                finally:
                    after = _write(self._target.objects)
                    if after != before:
                        fresh = self._file.with_suffix(".new")
                        fresh.write_bytes(after)
                        fresh.replace(self._file)

    def observe(self, only: frozenset[Address] | None = None) -> Iterable[Observed]:
        """What is live."""
        with self._opened() as far:
            far.calls["observe"] += 1
            far.before("observe", next(iter(sorted(only or ())), Address.parse("infra/memory")))
            found = [o for a, o in far.objects.items() if only is None or a in only]
            return [self._with_health(o) for o in found]

    def _with_health(self, observed: Observed) -> Observed:
        judged = self._target.judge(observed.address, observed.spec) if self._target.judge else None
        health = judged or self._target.health.get(observed.address, Health())
        traffic = dict(self._target.traffic.get(observed.address, {}))
        return replace(observed, health=health, traffic=traffic, healths=self._healths(observed))

    def _healths(self, observed: Observed) -> dict[str, Health]:
        """Each live deployment judged as if it were the only one; none where health is not judged by the spec."""
        deployments, judge = observed.spec.get("deployments"), self._target.judge
        if judge is None or not isinstance(deployments, Mapping):
            return {}
        alone = {name: {**observed.spec, "deployments": {name: value}} for name, value in deployments.items()}
        return {name: judge(observed.address, spec) or Health() for name, spec in alone.items()}

    def put(self, resource: Resource, stamp: Stamp) -> Mapping[str, str]:
        """Make it so."""
        if self._target.latency:
            time.sleep(self._target.latency)
        with self._opened() as far:
            far.calls["put"] += 1
            far.before("put", resource.address)
            outputs = {"name": resource.address.name}
            spec = json.loads(json.dumps(resource.spec))
            far.objects[resource.address] = Observed(resource.address, spec, stamp, outputs)
            far.after("put", resource.address)
            return outputs

    def delete(self, address: Address) -> None:
        """Take it away."""
        if self._target.latency:
            time.sleep(self._target.latency)
        with self._opened() as far:
            far.calls["delete"] += 1
            far.before("delete", address)
            far.objects.pop(address, None)
            far.after("delete", address)

    def score(self, address: Address, body: bytes, deployment: str | None = None) -> Answer:
        """Answer a request from the deployment's spec.

        Raises:
            TargetError: There is no such endpoint or deployment.
        """
        with self._opened() as far:
            far.calls["score"] += 1
            observed = far.objects.get(address)
        deployments = observed.spec.get("deployments") if observed is not None else None
        if not isinstance(deployments, Mapping) or not deployments:
            raise TargetError(Diagnostic("Nothing answered", f"{address} is not live."))
        name = deployment or next(iter(deployments))
        found = deployments.get(name)
        if not isinstance(found, Mapping):
            raise TargetError(Diagnostic("Nothing answered", f"{address} has no deployment {name}."))
        return self._target.scorer(found, body)

    def logs(self, address: Address, deployment: str | None, lines: int) -> Iterable[str]:
        """A memory object writes no logs."""
        del deployment, lines
        with self._opened() as far:
            return [f"{address}: {HealthState.HEALTHY}"] if address in far.objects else []


DRIVER = MemoryDriver

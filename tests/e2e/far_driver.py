"""A compute of another distribution, on which machines meet: the one of the toolkit, in a file, and not a local one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from mlops.driver import Answer
from mlops.drivers.memory import MemoryDriver
from mlops.resource import Address, Resource, Stamp


class FarDriver(MemoryDriver):
    """Objects in a file that several clones share; where a gate stands, a put waits at it before it has an effect."""

    is_local: ClassVar[bool] = False

    def put(self, resource: Resource, stamp: Stamp) -> Mapping[str, str]:
        """Make it so, once the gate is open."""
        gate = Path(os.environ.get("GATE", "/nowhere"))
        if gate.exists():
            with gate.open() as stream:
                stream.read()
        return super().put(resource, stamp)

    def score(self, address: Address, body: bytes, deployment: str | None = None) -> Answer:
        """Say that all is well, as the entry script of the greetings does."""
        super().score(address, body, deployment)
        return Answer(200, {"content-type": "application/json"}, b'{"well": true}')

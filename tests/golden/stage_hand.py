"""Sets the stage for a golden plan: what was applied before, and what others did since, as `live.yaml` tells it.

Each entry of `before` is one of these:

| key     | does                                                                                                |
|---------|-----------------------------------------------------------------------------------------------------|
| apply   | applies a stage, with `files` in place of the repository's (null: the file is absent)               |
| change  | changes live objects behind everybody's back: a JSON merge patch, deployments by declared name      |
| remove  | makes live objects vanish                                                                           |
| foreign | puts objects there that carry no stamp                                                              |
| sick    | from now on, a model version crashes on a compute as soon as it is live                             |
| wait    | lets so many seconds pass                                                                           |
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from tests.unit.engine.world import sick
from tests.unit.ledger.rig import ManualClock

from mlops.drivers.memory import MemoryTarget, target
from mlops.pipeline.applying import ApplyRequest, Conduct, apply
from mlops.pipeline.planning import plan
from mlops.pipeline.workspace import Workspace, open_workspace
from mlops.plan import Plan
from mlops.resource import Address, Observed
from mlops.rollout import declared_name, traffic_of

BORN = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}


class StageHand:
    """One case, played in a clone of its own."""

    def __init__(self, case: Path, root: Path) -> None:
        self.case = case
        self.root = root
        self.script: Mapping[str, Any] = YAML(typ="safe").load((case / "live.yaml").read_text(encoding="utf-8"))
        self.clock = ManualClock()
        self.conduct = Conduct(lambda _plan: True, lambda _progress: None, threading.Event())
        for compute in ("here", "there", "live"):
            self._far(compute).objects.clear()
            self._far(compute).judge = None
        shutil.copytree(case / "repository", root)
        (root / ".gitignore").write_text(".mlops/\n", encoding="utf-8")
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Begin"]):
            subprocess.run(["git", *command], cwd=root, check=True, env=os.environ | BORN)

    def play(self) -> Plan:
        """Do what came before, and plan."""
        for entry in self.script["before"]:
            self._play(entry)
        with self._opened() as workspace:
            return plan(workspace, self.script["plan"])

    def _play(self, entry: Mapping[str, Any]) -> None:
        match entry:
            case {"apply": stage, **rest}:
                self._apply(stage, rest.get("files", {}))
            case {"change": changes}:
                for text, patch in changes.items():
                    self._change(Address.parse(text), patch)
            case {"remove": addresses}:
                for address in map(Address.parse, addresses):
                    del self._far(str(address.compute)).objects[address]
            case {"foreign": objects}:
                self._add(objects)
            case {"sick": versions}:
                for compute, version in versions.items():
                    self._far(compute).judge = sick(version)
            case {"wait": seconds}:
                self.clock.pass_(seconds)
            case _:
                raise AssertionError(entry)

    def _far(self, compute: str) -> MemoryTarget:
        return target(f"golden-{self.case.name}-{compute}")

    def _add(self, objects: Mapping[str, Any]) -> None:
        """Put objects there that are none of ours."""
        for text, spec in objects.items():
            address = Address.parse(text)
            self._far(str(address.compute)).objects[address] = Observed(address, spec, None)

    @contextmanager
    def _opened(self) -> Iterator[Workspace]:
        workspace = open_workspace(self.root, clock=self.clock)
        with workspace.git:
            yield workspace

    def _apply(self, stage: str, files: Mapping[str, str | None]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                path.write_text(text, encoding="utf-8")
        with self._opened() as workspace:
            apply(workspace, stage, ApplyRequest(allow_deletes=9), self.conduct)
        subprocess.run(["git", "checkout", "-q", "--", "."], cwd=self.root, check=True)
        subprocess.run(["git", "clean", "-fdq", "models", "endpoints"], cwd=self.root, check=True)

    def _change(self, address: Address, patch: Mapping[str, Any]) -> None:
        """Merge a patch into a live object; traffic is named as it was declared."""
        objects = self._far(str(address.compute)).objects
        observed = objects[address]
        names = {declared_name(observed.spec, live): live for live in traffic_of(observed.spec)}
        live = dict(patch)
        if "traffic" in live:
            live["traffic"] = {names[name]: weight for name, weight in live["traffic"].items()}
        objects[address] = replace(observed, spec={**observed.spec, **live})

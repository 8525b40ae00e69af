"""A repository with greetings for models, and `mlops` over it as a user runs it: in processes of its own."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.greetings import GREETINGS, SCRIPT, endpoint
from tests.e2e.processes import DEADLINE, kill, processes, until
from tests.scoring.load import Load, Target, background

from mlops.git import GitRepository
from mlops.ledger import Ledger, Record, State
from mlops.resource import Event

MLOPS = Path(sys.executable).parent / "mlops"


@dataclass
class Laptop:
    """A clone, and the command line in it.

    Attributes:
        root: The clone.
        variables: Environment variables that commands get beside this process's own.
        prefix: What commands are started through.
    """

    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command, in a process group of its own as a terminal does."""
        process = subprocess.Popen(
            [*self.prefix, str(MLOPS), *arguments],
            cwd=self.root,
            env=os.environ | self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command; a bug of ours, which shows a traceback, is never right."""
        process = self.start(*arguments)
        out, err = process.communicate()
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def expect(self, code: int, *arguments: str) -> str:
        """What a command says that has to end with this code: its result, then its talk."""
        done = self.run(*arguments)
        assert done.returncode == code, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def apply(self, code: int = 0) -> str:
        """Apply, and end with this code."""
        return self.expect(code, "apply", "--stage", "dev", "--yes")

    def converge(self) -> str:
        """Apply, and find nothing left to do and nothing left behind."""
        said = self.apply()
        self.expect(0, "plan", "--stage", "dev", "--detailed-exitcode")
        self.check_ledgers()
        return said

    def write(self, path: str, content: object) -> None:
        """Write a file below the root; what is no text is written as JSON."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content, indent=2), encoding="utf-8")

    def declare(self, patch: Mapping[str, object] | None = None, name: str = "hello", **document: object) -> None:
        """Declare an endpoint in stage dev; the patch is the stage file, the document's fields are the endpoint's."""
        folder = f"endpoints/{name}"
        self.write(f"{folder}/endpoint.yaml", endpoint(**document))
        self.write(f"{folder}/code/score.py", SCRIPT)
        self.write(f"{folder}/sample.json", {})
        self.write(f"{folder}/dev.yaml", {"compute": "here", **(patch or {})})

    def serve(self, version: str, name: str = "hello", **fields: object) -> None:
        """Declare which model an endpoint serves: the one line of a promotion."""
        main = {"model": f"greeting:{version}", **fields}
        self.write(f"endpoints/{name}/dev.yaml", {"compute": "here", "deployments": {"main": main}})

    def withdraw(self, name: str = "hello") -> None:
        """Declare an endpoint no longer."""
        (self.root / f"endpoints/{name}/dev.yaml").unlink()

    def git(self, *arguments: str) -> str:
        """Run Git as a user would."""
        done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    @contextmanager
    def ledger(self, stage: str = "dev", remote: str | None = None) -> Iterator[Ledger]:
        """The ledger of a stage, as another process sees it."""
        with GitRepository.open(self.root) as repository:
            ledger = Ledger.open(repository, stage, project="greetings", remote=remote)
            ledger.refresh()
            yield ledger

    def state(self, stage: str = "dev", remote: str | None = None) -> State:
        """The folded state of a stage."""
        with self.ledger(stage, remote) as ledger:
            return ledger.state()

    def records(self, stage: str = "dev", remote: str | None = None) -> list[Record]:
        """Every record of a stage, oldest first."""
        with self.ledger(stage, remote) as ledger:
            return list(ledger.records())[::-1]

    def check_ledgers(self, remote: str | None = None) -> None:
        """Replay both ledgers; every run that was begun was closed, once, and nothing is left to be written down."""
        for stage in ("shared", "dev"):
            with self.ledger(stage, remote if stage == "dev" else None) as ledger:
                assert ledger.verify() == ()
                assert ledger.state().run is None
                assert not ledger.state().intended
            records = self.records(stage, remote if stage == "dev" else None)
            begun = [r.run for r in records if r.event is Event.STARTED]
            ended = [r.run for r in records if r.event in {Event.FINISHED, Event.FAILED, Event.INTERRUPTED}]
            assert begun == ended
            assert [r.time for r in records] == sorted(r.time for r in records)
        self.git("fsck", "--strict", "--no-dangling")

    @property
    def endpoints(self) -> Path:
        """Where the compute keeps its endpoints."""
        return self.root / ".mlops" / "endpoints" / "here"

    def port(self, name: str = "hello") -> int:
        """An endpoint's port."""
        return int(json.loads((self.endpoints / name / "endpoint.json").read_bytes())["port"])

    def sockets(self) -> list[Path]:
        """Folders of sockets that lie elsewhere, because their paths would be too long."""
        homes = self.endpoints.glob("[!.]*/endpoint.json")
        admins = (Path(json.loads(home.read_bytes())["admin"]) for home in homes)
        return [admin.parent for admin in admins if admin.is_absolute()]

    def left(self) -> list[str]:
        """What the compute's folder holds beside the locks of endpoints."""
        found = self.endpoints.iterdir() if self.endpoints.exists() else ()
        return sorted(path.name for path in found if not (path.name[0] == "." and path.suffix == ".lock"))

    def supervisors(self) -> list[int]:
        """Processes of supervisors of this clone."""
        return processes(self.root, b"mlops_scoring.supervisor")

    def workers(self) -> list[int]:
        """Processes of workers of this clone."""
        return processes(self.root, b"mlops_scoring.worker")

    def check_single(self, workers: int = 1, name: str = "hello") -> None:
        """One endpoint, one supervisor, so many workers, one folder."""
        assert self.left() == [name]
        until(lambda: len(self.supervisors()) == 1, "one supervisor")
        until(lambda: len(self.workers()) == workers, f"{workers} workers")

    def check_gone(self) -> None:
        """No process, no folder, no port."""
        assert self.left() == []
        until(lambda: not self.supervisors(), "the end of all supervisors")
        until(lambda: not self.workers(), "the end of all workers")

    def ask(self, name: str = "hello") -> Mapping[str, object]:
        """What the endpoint answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port(name), timeout=DEADLINE)
        try:
            connection.request("POST", "/score", b'{"who": "Ada"}', {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
            assert response.status == 200, (response.status, content)
        finally:
            connection.close()
        value: Mapping[str, object] = json.loads(content)
        return value

    def greeting(self, name: str = "hello") -> object:
        """The greeting that is served."""
        return self.ask(name)["greeting"]

    @contextmanager
    def load(self, clients: int = 8, name: str = "hello") -> Iterator[Load]:
        """Keep asking while the block runs."""
        with background(Target(self.port(name), body=b'{"who": "Ada"}'), connections=clients) as load:
            load.wait_for_more(clients)
            yield load

    def close(self) -> None:
        """End all that was started in the clone."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for pid in self.supervisors():
            kill(pid)
        until(lambda: not self.workers(), "the end of all workers")
        for folder in self.sockets():
            shutil.rmtree(folder)


def make_template(folder: Path) -> Path:
    """A repository as `mlops init` makes it, with three greetings for models and the endpoint `hello` in stage dev."""
    template = Laptop(folder)
    subprocess.run([MLOPS, "init", "--project", "greetings", str(folder)], check=True, capture_output=True)
    for name in ("endpoints", "models", ".mlops"):
        shutil.rmtree(folder / name)
    for version, greeting in GREETINGS.items():
        content = json.dumps({"greeting": greeting})
        template.write(f"models/greeting/{version}/greeting.json", content)
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        template.write(f"models/greeting/{version}.yaml", {"path": f"{version}/greeting.json", "sha256": sha256})
    template.declare()
    return folder


def make_laptop(template: Path, folder: Path, **project: object) -> Laptop:
    """A repository like the template.

    Args:
        template: What to copy.
        folder: Where to.
        project: Fields of `mlops.yaml`; by default the compute `here` is a local one with ports of its own.
    """
    shutil.copytree(template, folder, symlinks=True)
    first = 20000 + int(hashlib.sha256(str(folder).encode()).hexdigest(), 16) % 1000 * 10
    local = {"here": {"type": "local", "ports": f"{first}-{first + 9}"}}
    laptop = Laptop(folder)
    laptop.write("mlops.yaml", {"project": "greetings", "computes": local, "stages": {"dev": {}}, **project})
    laptop.commit("Greet")
    return laptop


def lines(text: str, part: str) -> list[str]:
    """The lines with a part."""
    return [line for line in text.splitlines() if part in line]

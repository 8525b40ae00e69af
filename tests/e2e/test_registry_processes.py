"""The registry under several real processes: side by side, at the same moment, and killed in the middle."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.registry.bench import Bench

from mlops.drivers.registry.journal import replay
from mlops.drivers.registry.verify import verify
from mlops.resource import Kind

_REPOSITORY = Path(__file__).parents[2]

_WRITER = """
import sys
from pathlib import Path
from tests.unit.registry.bench import Bench
root, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
bench = Bench(root)
models = [bench.model(f"{name}:{n}", content=f"{name} {n}".encode() * 50) for n in range(1, count + 1)]
print("ready", flush=True)
sys.stdin.readline()
driver = bench.driver()
for model in models:
    driver.put(model, bench.stamp(model))
    print(model.address.name, flush=True)
driver.close()
"""


def _start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that waits for `_go`, so that several begin at one moment."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(_REPOSITORY)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def _lines(process: subprocess.Popen[str]) -> list[str]:
    """What it said until its end."""
    assert process.stdout is not None
    assert process.stdin is not None
    said = process.stdout.read().splitlines()
    process.stdin.close()
    process.stdout.close()
    process.wait()
    return said


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "root"
    root.mkdir()
    return Bench(root)


def test_several_writers_into_a_new_registry_lose_nothing(bench: Bench) -> None:
    names = ["a", "b", "c", "d"]
    writers = [_start(_WRITER, bench.root, name, 60) for name in names]
    for writer in writers:
        _go(writer)
    counts = [0]
    while any(writer.poll() is None for writer in writers):
        counts.append(len(bench.seen()))
    assert counts == sorted(counts)
    for writer in writers:
        assert len(_lines(writer)) == 60
        assert writer.returncode == 0
    assert len(bench.seen()) == 240
    assert verify(bench.driver()).problems == ()
    assert replay(bench.folder / "journal.jsonl").rows.keys() == bench.seen().keys()


def test_two_writers_of_one_version_agree_on_it(bench: Bench) -> None:
    writers = [_start(_WRITER, bench.root, "same", 40) for _ in range(2)]
    for writer in writers:
        _go(writer)
    assert all(len(_lines(writer)) == 40 for writer in writers)
    assert len(bench.seen()) == 40
    assert verify(bench.driver()).problems == ()


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_writer_leaves_everything_that_it_had_reported(bench: Bench, seed: int) -> None:
    """Whatever the moment: reported is registered, the next writer goes on, and nothing is half there."""
    bench.put(bench.model("before:1")).close()
    writer = _start(_WRITER, bench.root, "killed", 5000)
    _go(writer)
    assert writer.stdout is not None
    reported = [writer.stdout.readline().strip()]
    time.sleep(random.Random(seed).uniform(0.0, 0.15))  # the moment of death is the subject
    writer.send_signal(signal.SIGKILL)
    reported += _lines(writer)
    seen = bench.seen()
    assert {f"model/{name}" for name in reported if name} - seen.keys() == set()
    assert len(seen) <= len(reported) + 2
    bench.put(bench.model("after:1", content=b"after")).close()
    assert "model/after:1" in bench.seen()
    assert list((bench.folder / "incoming").iterdir()) == []
    problems = [p for p in verify(bench.driver()).problems if "the index lacks it" not in p.detail]
    assert problems == []


_REGISTRAR = """
import sys
from pathlib import Path
from mlops.pipeline.models import register
from mlops.pipeline.workspace import open_workspace
root, count = Path(sys.argv[1]), int(sys.argv[2])
workspace = open_workspace(root)
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    print(register(workspace, "fraud", [root / "model.onnx"]).reference, flush=True)
"""


def test_registrations_at_the_same_moment_get_numbers_of_their_own(
    make_repository: Callable[[dict[str, str]], Path],
) -> None:
    root = make_repository({"mlops.yaml": "project: demo\nstages: {dev: {}}\n", "model.onnx": "weights"})
    registrars = [_start(_REGISTRAR, root, 15) for _ in range(3)]
    for registrar in registrars:
        _go(registrar)
    said = [line for registrar in registrars for line in _lines(registrar)]
    assert sorted(said) == sorted(f"fraud:{number}" for number in range(1, 46))
    folder = root / "models/fraud"
    assert {path.name for path in folder.iterdir()} == {
        *(f"{number}.yaml" for number in range(1, 46)),
        *(str(number) for number in range(1, 46)),
    }


def test_numbers_that_only_the_registry_knows_are_taken(make_repository: Callable[[dict[str, str]], Path]) -> None:
    root = make_repository({"mlops.yaml": "project: demo\nstages: {dev: {}}\n", "model.onnx": "weights"})
    bench = Bench(root, "demo")
    driver = bench.put(bench.model("fraud:41"))
    driver.delete(bench.model("fraud:41").address)
    assert driver.taken(Kind.MODEL, "fraud") == {"41"}
    driver.close()
    registrar = _start(_REGISTRAR, root, 1)
    _go(registrar)
    assert _lines(registrar) == ["fraud:42"]

"""Registering models: one large file, and many small ones; beside openssl with cp and sync, and MLflow."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bench import repositories
from bench.measure import MLOPS, Sample, median, peer_python, run
from bench.table import Row, at_least, at_most
from mlops.driver import Scope
from mlops.drivers.registry import RegistryDriver
from mlops.resource import SHARED, Address, Artifact, Kind, Resource, Spec, Stamp

GIGABYTE = 1_000_000_000
_BLOCK = 1_000_000
_TIMES = 3


def _file(path: Path, size: int) -> Path:
    """A file of random bytes that no scanner takes for a pickle."""
    with path.open("wb") as file:
        file.write(bytes(_BLOCK))
        for _ in range(size // _BLOCK - 1):
            file.write(os.urandom(_BLOCK))
        file.flush()
        os.fsync(file.fileno())
    return path


def _register(folder: Path, source: Path) -> Sample:
    """`mlops model register` of a file into a new repository, each time."""

    def renew(_number: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        repositories.write(folder, repositories.project())
        repositories.commit(folder)
        os.sync()

    return median((MLOPS, "model", "register", "big", str(source)), folder, _TIMES, before=renew)


def _by_hand(folder: Path, source: Path) -> Sample:
    """The same bytes digested, copied and synchronised by programs that everybody has."""
    copy = folder / "copy.bin"
    command = 'openssl dgst -sha256 "$0" && cp "$0" "$1" && sync "$1"'

    def renew(_number: int) -> None:
        copy.unlink(missing_ok=True)
        os.sync()

    return median(("sh", "-c", command, str(source), str(copy)), folder, _TIMES, before=renew)


def _large(folder: Path) -> Iterator[Row]:
    source = _file(folder / "source.safetensors", GIGABYTE)
    small = _file(folder / "small.safetensors", 20 * _BLOCK)
    peer = _by_hand(folder, source)
    ours = _register(folder / "large", source)
    least = _register(folder / "least", small)
    said = f"{peer.seconds:.2f} s, openssl dgst, cp, sync"
    bar = "at most 1.5 times the peer"
    yield at_most("register a file of 1 GB", ours.seconds, 1.5 * peer.seconds, "s", peer=said, bar=bar)
    growth = ours.peak - least.peak
    yield at_most("its memory, more than for 20 MB", growth, 16, "MiB", bar="flat (16 MiB)")
    for path in (source, small, folder / "copy.bin"):
        path.unlink(missing_ok=True)


def _versions(folder: Path, count: int) -> list[tuple[Resource, Stamp]]:
    """Model versions with a small file each."""
    found = []
    for number in range(count):
        content = f"{folder.name} {number}\n".encode()
        sha256 = hashlib.sha256(content).hexdigest()
        name = f"files/{number}.bin"
        (folder / name).write_bytes(content)
        spec: Spec = {"files": {"model.bin": sha256}, "sha256": sha256, "tags": {"team": "bench"}}
        address = Address(Kind.MODEL, f"m:{number + 1}")
        resource = Resource(address, "registry", spec, artifacts=(Artifact(sha256, name, len(content)),))
        found.append((resource, Stamp("bench", SHARED, str(address), resource.goal)))
    return found


def _rate(folder: Path, count: int, *, together: bool) -> float:
    """Registrations a second through the driver, files included."""
    (folder / "files").mkdir(parents=True)
    items = _versions(folder, count)
    driver = RegistryDriver(Scope("bench", SHARED, "registry", folder, {}))
    os.sync()
    begin = time.perf_counter()
    if together:
        driver.put_many(items)
    else:
        for resource, stamp in items:
            driver.put(resource, stamp)
    rate = count / (time.perf_counter() - begin)
    driver.close()
    return rate


def _alone(folder: Path, count: int, *, together: bool) -> float:
    """The rate in a process of its own: what it leaves in memory would count as that of programs measured later."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_rate, folder, count, together=together).result()


def _mlflow(folder: Path) -> float:
    """Registrations a second that MLflow's SQLite-backed registry does."""
    program = Path(__file__).parent / "peers/mlflow_registry.py"
    answer = folder / "mlflow.json"
    run((peer_python("mlflow"), str(program), str(folder / "mlflow"), str(answer)), folder)
    rate: float = json.loads(answer.read_text(encoding="utf-8"))
    return rate


def rows(folder: Path) -> Iterator[Row]:
    """Everything about registering."""
    yield from _large(folder)
    peer = _mlflow(folder)
    said = f"{peer:.0f} /s, MLflow on SQLite"
    one_by_one = _alone(folder / "single", 5000, together=False)
    yield at_least("registrations, one by one, each durable", one_by_one, 1000, "/s", peer=said)
    together = _alone(folder / "together", 20_000, together=True)
    bar = "at least 20 times the peer"
    yield at_least("registrations in one transaction", together, 20 * peer, "/s", peer=said, bar=bar)

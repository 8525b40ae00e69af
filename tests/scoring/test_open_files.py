"""What happens when no file can be opened any more: it is nobody's fault but this process's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.scoring.rig import Supervised, ask, await_truth, connect, make_deployment
from tests.scoring.wired import wired

from mlops_scoring.configuration import Probe
from mlops_scoring.supervisor.probe import verdicts


def test_a_worker_that_cannot_be_reached_for_a_reason_of_ours_stays_in(short_path: Path) -> None:
    """The path of its socket is too long, which says as little of the worker as a lack of file descriptors does."""

    async def main() -> None:
        async with wired(short_path) as side:
            far = side.gateway.add("far-1", side.backend.settings)
            unreachable = far.open("far-1", str(short_path / ("x" * 200)))
            to_far = b"GET /score HTTP/1.1\r\nHost: t\r\nazureml-model-deployment: far-1\r\nConnection: close\r\n\r\n"
            for _ in range(2):
                answer = await side.converse(to_far)
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"\r\nretry-after: 1\r\n" in answer
                assert b"can be reached now" in answer
            assert unreachable.accepting
            assert unreachable.in_flight == 0
            unreachable.path = str(side.worker.path)
            assert (await side.converse(to_far)).endswith(b"ok")
            unreachable.close()

    asyncio.run(main())


def test_clients_cannot_take_the_files_that_workers_need(supervised: Supervised, code: Path, tmp_path: Path) -> None:
    limited = tmp_path / "limited"
    limited.write_text(f'#!/bin/sh\nulimit -n 200\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    limited.chmod(0o700)
    supervised.python = os.fspath(limited)
    body = json.dumps({"sleep": 0.2}).encode()
    with contextlib.ExitStack() as held:
        document = supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 100})
        supervised.start({**document, "limits": {"head_seconds": 600}})
        supervised.await_state("blue-1", "Healthy")
        first = [held.enter_context(connect(supervised.port)) for _ in range(6)]
        for _ in range(12):  # not all at once, for all that come in one moment are taken before any is counted
            come_twenty(supervised, held)
        for client in first:
            client.sendall(b"POST /score HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert [client.recv(12) for client in first] == [b"HTTP/1.1 200"] * 6
    log, told = supervised.directory / "logs" / "supervisor.log", "allows 136 connections of clients, not 2048"
    await_truth(lambda: told in log.read_text(encoding="utf-8"), "it is told")


def test_a_probe_that_cannot_be_made_says_nothing_of_the_worker(short_path: Path) -> None:
    async def main() -> list[bool | None]:
        async with wired(short_path) as side:
            probe = Probe(initial_delay=0, period=0.01, timeout=20, success_threshold=1, failure_threshold=1)
            asking = verdicts(probe, str(side.worker.path))
            with no_further_file():
                found = [await anext(asking), await anext(asking)]
            found.append(await anext(asking))
            return found

    assert asyncio.run(main()) == [None, None, True]


@contextlib.contextmanager
def no_further_file() -> Iterator[None]:
    """Let this process open none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.dup(0)
    os.close(first_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def come_twenty(supervised: Supervised, held: contextlib.ExitStack) -> None:
    """Open connections, and wait until the gateway has counted them."""
    known = connections(supervised)
    for _ in range(20):
        held.enter_context(connect(supervised.port))
    await_truth(lambda: connections(supervised) >= known + 20, "they were noticed")


def connections(supervised: Supervised) -> int:
    """Those that are open, and those that were closed because there were too many."""
    found = 0
    for line in ask(supervised.admin, "GET", "/metrics").body.decode().splitlines():
        name, _, value = line.partition(" ")
        if name in {"mlops_gateway_connections", "mlops_gateway_connections_refused_total"}:
            found += int(float(value))
    return found

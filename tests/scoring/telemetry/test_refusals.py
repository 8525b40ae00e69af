"""Requests that are refused while they are read: their lines in the access log, their spans, and what is in neither."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.scoring.rig import Supervised, ask, await_truth, connect, exchange, make_deployment
from tests.scoring.telemetry.collector import Collector, listen

from mlops_scoring.gateway.observing import Exchanged
from mlops_scoring.telemetry.gateway_tracing import AccessLog
from mlops_scoring.wire.messages import Request

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEAD = b"POST /score?code=s3cr3tcode HTTP/1.1\r\nhost: a\r\n"
MIB = 1024 * 1024


@pytest.fixture
def collector() -> Iterator[Collector]:
    with listen(Collector()) as receiving:
        yield receiving


def start(supervised: Supervised, code: Path, **changes: object) -> None:
    document = supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 100}, {"blue": "blue-1"})
    supervised.start({**document, **changes})
    supervised.await_state("blue-1", "Healthy")


def log(supervised: Supervised) -> str:
    return (supervised.directory / "logs" / "supervisor.log").read_text(encoding="utf-8")


def lines(supervised: Supervised) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in log(supervised).splitlines()]
    return [record for record in records if record["logger"] == "mlops_scoring.access"]


def await_lines(supervised: Supervised, count: int) -> list[dict[str, Any]]:
    await_truth(lambda: len(lines(supervised)) >= count, f"line {count} of the access log")
    return lines(supervised)


def refused_total(supervised: Supervised) -> int:
    text = ask(supervised.admin, "GET", "/metrics").body.decode()
    found = [line for line in text.splitlines() if line.startswith("mlops_gateway_refused_total{")]
    return sum(int(float(line.rpartition(" ")[2])) for line in found)


REFUSALS = [
    (b"\x16\x03\x01\x02\x00garbage \r\n\r\n", 400, None, None, "Not a valid HTTP/1.1 request"),
    (b"GET http://me:s3cr3tuser@a/x HTTP/1.1\r\n\r\n", 400, "GET", None, "exactly one Host"),
    (b"CONNECT me:s3cr3tuser@a:1 HTTP/1.1\r\nhost: a\r\n\r\n", 501, "CONNECT", None, "no proxy"),
    (
        HEAD + b"authorization: Bearer s3cr3tkey\r\nx-request-id: mine\r\n\r\n",
        401,
        "POST",
        "/score",
        "The key is not one of this endpoint's",
    ),
    (HEAD + b"content-length: 99999999\r\n\r\n", 413, "POST", "/score", "at most 1000 bytes"),
    (HEAD + b"x: " + b"s" * 40000 + b"\r\n\r\n", 431, None, "/score", "headers are too large"),
    (b"GET /" + b"p" * 9000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 414, None, "/" + "p" * 199, "target is too long"),
    (HEAD, 408, None, "/score", "did not arrive in time"),
]


def test_each_refusal_has_one_line_without_secrets(supervised: Supervised, code: Path) -> None:
    """What was not read is null: neither a guess, nor what a client would have us believe."""
    limits = {"body_bytes": 1000, "head_seconds": 100}
    start(supervised, code, telemetry={"access_log": 1}, auth={"mode": "key"}, limits=limits)
    for number, (sent, status, method, path, reason) in enumerate(REFUSALS, 1):
        if status == 408:  # no other client is to be refused for its slowness
            document = {**supervised.status()["configuration"], "limits": {**limits, "head_seconds": 4}}
            assert supervised.put(document).status == 200
        assert exchange(supervised.port, sent).startswith(b"HTTP/1.1 %d " % status), sent[:60]
        line = await_lines(supervised, number)[-1]
        assert line["request_id"] == ("mine" if status == 401 else None)
        assert (line["status"], line["method"], line["path"]) == (status, method, path)
        assert reason in line["reason"]
        assert reason in line["message"]
        assert line["deployment"] is line["trace_id"] is line["milliseconds"] is line["waited_ms"] is None
        assert line["sent"] > 0
    assert "s3cr3t" not in log(supervised)
    assert refused_total(supervised) == len(REFUSALS)


def test_nothing_that_a_client_sends_ends_a_line_or_begins_one(supervised: Supervised, code: Path) -> None:
    start(supervised, code, telemetry={"access_log": 1}, auth={"mode": "key"})
    forged = b'GET /%0a\xe2\x80\xa8\xc2\x9b"}{"logger":"forged" HTTP/1.1\r\nhost: a\r\n\r\n'
    received = exchange(supervised.port, forged)
    assert received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 "))
    await_lines(supervised, 1)
    assert log(supervised).isascii()
    assert {json.loads(line)["logger"] for line in log(supervised).splitlines()} <= {
        "mlops_scoring.access",
        "mlops_scoring.supervisor",
    }


def test_an_access_log_that_is_off_has_no_line_of_garbage(supervised: Supervised, code: Path) -> None:
    """Else whoever sends enough of it would drive everything else out of the log."""
    start(supervised, code, telemetry={"access_log": 0})
    for _ in range(20):
        assert exchange(supervised.port, b"garbage\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert exchange(supervised.port, b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n").startswith(b"HTTP/1.1 501 ")
    assert refused_total(supervised) == 40
    document = supervised.status()["configuration"]
    assert supervised.put({**document, "telemetry": {"access_log": 1}}).status == 200
    assert supervised.score().status == 200
    assert [line["status"] for line in await_lines(supervised, 1)] == [200]  # lines are written in order


def exchanged(status: int, refusal: str) -> Exchanged:
    return Exchanged("", Request(), status, 0.0, 0.0, 0.0, False, "", None, 0, 0, refusal)


def test_refusals_follow_the_share_also_where_their_status_is_of_the_servers(caplog: pytest.LogCaptureFixture) -> None:
    """501 and 505 say what is wrong with a request; 503 is the server's."""
    never = AccessLog(0.0)
    with caplog.at_level(logging.INFO, "mlops_scoring.access"):
        for status in (400, 401, 408, 413, 431, 501, 505):
            never.exchanged(exchanged(status, "No."))
        assert not caplog.records
        never.exchanged(exchanged(503, "No."))
        never.exchanged(exchanged(501, ""))
    assert [record.getMessage() for record in caplog.records] == [
        "- - 503 refused: No.",
        "None None 501 0.0 ms",
    ]


def test_an_upload_that_is_broken_off_has_one_line_with_its_deployment(supervised: Supervised, code: Path) -> None:
    start(supervised, code, telemetry={"access_log": 1})
    head = b"POST /score HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    received = exchange(supervised.port, head, b"200000\r\n" + b" " * (2 * MIB) + b"\r\nno size\r\n")
    assert received.startswith(b"HTTP/1.1 400 ")
    assert supervised.score().status == 200
    both = await_lines(supervised, 2)  # lines are written in order
    assert [(line["status"], line["deployment"]) for line in both] == [(400, "blue-1"), (200, "blue-1")]


def test_what_has_a_whole_head_has_a_span(
    supervised: Supervised, code: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    start(supervised, code, telemetry={"otlp_endpoint": collector.url}, auth={"mode": "key"})
    assert exchange(supervised.port, b"garbage\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    trace = f"traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n\r\n".encode()
    with connect(supervised.port) as client:
        client.sendall(HEAD + trace)
        assert client.recv(100).startswith(b"HTTP/1.1 401 ")
    collector.wait(lambda: collector.named("gateway"), "the span of the second one")
    (span,) = collector.named("gateway")
    assert exchange(supervised.port, b"CONNECT me:s3cr3tuser@a:1 HTTP/1.1\r\nhost: a\r\n\r\n").startswith(
        b"HTTP/1.1 501 "
    )
    collector.wait(lambda: len(collector.named("gateway")) == 2, "the span of the third one")
    assert "s3cr3t" not in repr(collector.spans)
    assert (span.trace_id, span.parent_id) == (TRACE, "b7ad6b7169203331")
    assert span.attributes["http.response.status_code"] == 401
    assert span.attributes["url.path"] == "/score"
    assert span.status == 0

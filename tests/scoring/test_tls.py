"""TLS: versions, certificates that change while requests come, clients that do not get through the handshake."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.scoring.certificates import Pair, install, make_pair
from tests.scoring.environments import make_environment
from tests.scoring.rig import PATIENCE, Answer, Supervised, ask, await_truth, connect, exchange, make_deployment


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pair, Pair]:
    """Two certificates."""
    folder = tmp_path_factory.mktemp("pairs")
    return make_pair(folder, "first"), make_pair(folder, "second")


@pytest.fixture
def files(tmp_path: Path, pairs: tuple[Pair, Pair]) -> Pair:
    """Where the endpoint looks for its certificate; the first one is there."""
    return install(pairs[0], tmp_path / "tls")


def with_tls(supervised: Supervised, code: Path, files: Pair, **more: object) -> dict[str, object]:
    document = supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 100})
    return {**document, "tls": {"certificate": str(files.certificate), "key": str(files.key)}, **more}


def start(supervised: Supervised, code: Path, files: Pair, **more: object) -> None:
    supervised.start(with_tls(supervised, code, files, **more))
    supervised.await_state("blue-1", "Healthy")


def ask_securely(port: int, trust: ssl.SSLContext, body: str = "{}", **headers: str) -> Answer:
    """One request over a connection of its own."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=trust)
    try:
        connection.request("POST", "/score", body, headers)
        response = connection.getresponse()
        return Answer(response.status, {}, response.read())
    finally:
        connection.close()


def shown(port: int) -> bytes:
    """The certificate that a new connection gets."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=PATIENCE))


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.read_text(encoding="ascii"))


class Visitors:
    """Clients that make a connection for each request, and one that keeps its own."""

    def __init__(self, port: int, trust: ssl.SSLContext) -> None:
        self.outcomes: Counter[str] = Counter()
        self._port = port
        self._trust = trust
        self._over = threading.Event()
        self._lock = threading.Condition()
        targets = [self._come_and_go, self._come_and_go, self._stay]
        self._threads = [threading.Thread(target=target) for target in targets]
        for thread in self._threads:
            thread.start()

    def _note(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1
            self._lock.notify_all()

    def _come_and_go(self) -> None:
        while not self._over.is_set():
            try:
                self._note(str(ask_securely(self._port, self._trust).status))
            except OSError as error:
                self._note(repr(error))

    def _stay(self) -> None:
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=PATIENCE, context=self._trust)
        connection.connect()
        mine = connection.sock
        while not self._over.is_set():
            connection.request("POST", "/score", "{}")
            response = connection.getresponse()
            response.read()
            same = connection.sock is mine
            self._note("kept" if same and response.status == 200 else f"lost {response.status}")
        connection.close()

    def wait_for_more(self, count: int) -> None:
        with self._lock:
            goal = self.outcomes.total() + count
            assert self._lock.wait_for(lambda: self.outcomes.total() >= goal, PATIENCE)

    def leave(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)


@contextmanager
def visitors(port: int, trust: ssl.SSLContext) -> Iterator[Visitors]:
    found = Visitors(port, trust)
    try:
        yield found
    finally:
        found.leave()


def rotate_under_load(supervised: Supervised, code: Path, files: Pair, pairs: tuple[Pair, Pair]) -> None:
    """The endpoint's certificate changes four times, seen and told, and nobody loses a request."""
    start(supervised, code, files)
    folder = files.certificate.parent
    trust = pairs[0].trust()
    trust.load_verify_locations(pairs[1].certificate)
    with visitors(supervised.port, trust) as clients:
        for number, pair in enumerate((pairs[1], pairs[0], pairs[1], pairs[0])):
            clients.wait_for_more(20)
            install(pair, folder)
            if number % 2:
                assert ask(supervised.admin, "POST", "/tls/reload").status == 200
            else:
                await_truth(lambda: shown(supervised.port) == der(pair), "the new certificate is served")  # noqa: B023
            assert shown(supervised.port) == der(pair)
            clients.wait_for_more(20)
    assert set(clients.outcomes) == {"200", "kept"}, clients.outcomes


def test_a_certificate_is_rotated_under_load_without_a_failed_request(
    supervised: Supervised, code: Path, files: Pair, pairs: tuple[Pair, Pair]
) -> None:
    rotate_under_load(supervised, code, files, pairs)


def test_the_same_on_uvloop(
    supervised: Supervised, code: Path, files: Pair, pairs: tuple[Pair, Pair], test_cache: Path
) -> None:
    supervised.python = str(make_environment(test_cache, ()))
    rotate_under_load(supervised, code, files, pairs)


def test_a_pair_that_cannot_be_used_keeps_the_old_one_and_says_so(
    supervised: Supervised, code: Path, files: Pair, pairs: tuple[Pair, Pair], tmp_path: Path
) -> None:
    start(supervised, code, files)
    folder = files.certificate.parent
    trust = pairs[0].trust()
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkey", "-in", pairs[1].key, "-aes256", "-passout", "pass:secret", "-out", locked], check=True
    )
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    bad = {
        "mismatch": Pair(pairs[1].certificate, pairs[0].key),
        "passphrase": Pair(pairs[1].certificate, locked),
        "empty": Pair(empty, empty),
    }
    for name, pair in bad.items():
        named = Pair(tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
        named.certificate.write_bytes(pair.certificate.read_bytes())
        named.key.write_bytes(pair.key.read_bytes())
        install(named, folder)
        refused = ask(supervised.admin, "POST", "/tls/reload")
        assert refused.status == 422, name
        assert supervised.status()["tls"]["problem"]
        assert ask_securely(supervised.port, trust).status == 200
        other = {"certificate": str(named.certificate), "key": str(named.key)}
        put = supervised.put({**with_tls(supervised, code, files), "tls": other})
        assert (put.status, put.json["problems"][0].startswith("tls: ")) == (400, True)
    install(pairs[1], folder)
    await_truth(lambda: supervised.status()["tls"]["problem"] is None, "the good one is taken without a call")
    assert shown(supervised.port) == der(pairs[1])
    log = supervised.directory / "logs" / "supervisor.log"
    await_truth(lambda: "the certificate stays as it was: " in log.read_text(encoding="utf-8"), "it is told")


def test_a_start_with_a_bad_certificate_says_why(supervised: Supervised, code: Path, tmp_path: Path) -> None:
    missing = Pair(tmp_path / "no.crt", tmp_path / "no.key")
    assert supervised.launch(with_tls(supervised, code, missing)).wait(60) == 2
    failure = json.loads((supervised.directory / "failure.json").read_bytes())
    assert "no.crt" in failure["reason"]
    assert "No such file or directory" in failure["reason"]


def test_tls_is_not_turned_off_by_a_change(supervised: Supervised, code: Path, files: Pair) -> None:
    start(supervised, code, files)
    refused = supervised.put(supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 100}))
    assert refused.status == 400
    assert "tls: cannot be turned on or off" in refused.json["message"]


def test_old_versions_are_refused(supervised: Supervised, code: Path, files: Pair, pairs: tuple[Pair, Pair]) -> None:
    start(supervised, code, files)
    for version, accepted in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
        trust = pairs[0].trust()
        trust.minimum_version = trust.maximum_version = version
        assert (ask_securely(supervised.port, trust).status == 200) is accepted
    hello = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x02" + bytes(32) + b"\x00\x00\x04\xc0\x09\xc0\x13\x01\x00"
    assert exchange(supervised.port, hello)[:2] != b"\x16\x03"  # TLS 1.1 gets an alert, not a handshake


def test_who_does_not_get_through_the_handshake_is_counted_and_ended(
    supervised: Supervised, code: Path, files: Pair, pairs: tuple[Pair, Pair]
) -> None:
    start(supervised, code, files, limits={"head_seconds": 5, "connections": 20})
    assert b"HTTP" not in exchange(supervised.port, b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    silent = [connect(supervised.port) for _ in range(15)]
    assert ask_securely(supervised.port, pairs[0].trust()).status == 200
    for connection in silent:
        received = b"?"
        try:
            received = connection.recv(1000)
        except ConnectionResetError:
            received = b""
        assert received == b""
        connection.close()
    many = [connect(supervised.port) for _ in range(40)]
    ended = 0
    for connection in many[20:]:
        try:
            ended += connection.recv(1000) == b""
        except ConnectionResetError:
            ended += 1
    assert ended == 20
    for connection in many:
        connection.close()
    await_truth(lambda: ask_securely_or_none(supervised.port, pairs[0].trust()) == 200, "there is room again")


def ask_securely_or_none(port: int, trust: ssl.SSLContext) -> int | None:
    try:
        return ask_securely(port, trust).status
    except OSError:
        return None


def test_large_bodies_and_pipelined_requests_pass_under_tls(
    supervised: Supervised, code: Path, files: Pair, pairs: tuple[Pair, Pair]
) -> None:
    start(supervised, code, files)
    body = json.dumps({"text": "x" * 3_000_000})
    assert json.loads(ask_securely(supervised.port, pairs[0].trust(), body).body)["order"]["text"] == "x" * 3_000_000
    one = b"POST /score HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}"
    last = b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
    plain = socket.create_connection(("127.0.0.1", supervised.port), PATIENCE)
    with pairs[0].trust().wrap_socket(plain, server_hostname="localhost") as secured:
        secured.sendall(one * 3 + last)
        received = b""
        while chunk := secured.recv(65536):
            received += chunk
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 4


def test_keys_and_tls_let_others_in(supervised: Supervised, code: Path, files: Pair, pairs: tuple[Pair, Pair]) -> None:
    start(supervised, code, files, host="0.0.0.0", auth={"mode": "key"})  # noqa: S104
    key = ask(supervised.admin, "GET", "/credentials").json["primary_key"]
    assert ask_securely(supervised.port, pairs[0].trust(), Authorization=f"Bearer {key}").status == 200
    assert ask_securely(supervised.port, pairs[0].trust()).status == 401

"""Keys, tokens, passwords: used, and then found nowhere but where they are kept."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from tests.scoring.rig import Answer, Supervised, ask, await_truth, connect, exchange, make_code, make_deployment

SOURCE = """
import os, sys, time
def init():
    if os.environ.get("FAIL"):
        raise RuntimeError("no connection")
def run(data, request_headers):
    if data == "raise":
        raise ValueError("as asked")
    if data == "object":
        return object()
    if data == "exit":
        sys.exit(3)
    if data == "sleep":
        time.sleep(2)
    if data == "die":
        os.kill(os.getpid(), 9)
    return sorted(request_headers)
"""
VARIABLES = {"DB_PASSWORD": "s3cret-password-1", "STORAGE_KEY": "s3cret-key-2==", "ACCESS_TOKEN": "s3cret-token-3"}
CLIENTS = {
    "code": "s3cret-code-4",
    "sig": "s3cret-sig-5",
    "token": "s3cret-query-6",
    "wrong": "s3cret-wrong-7",
    "cookie": "s3cret-cookie-8",
    "basic": "czNjcmV0LWJhc2ljLTk=",
}
QUERY = f"?code={CLIENTS['code']}&sig={CLIENTS['sig']}&token={CLIENTS['token']}"
KEPT = ("credentials.json", "configuration.json")
"""Files that hold secrets, because something has to; and those in `run`, with which workers are started."""


def calls(endpoint: Supervised, good: str) -> Iterator[Answer]:
    """Everything that can go wrong, with secrets in every place."""
    bearer = {"authorization": f"Bearer {good}", "cookie": f"session={CLIENTS['cookie']}"}

    def score(body: str = "{}", path: str = "/score", method: str = "POST", **more: str) -> Answer:
        headers: Mapping[str, str] = {**bearer, **{name.replace("_", "-"): value for name, value in more.items()}}
        return ask(endpoint.port, method, path + QUERY, body, headers)

    yield score()
    for body in ("raise", "object", "exit", "die", "sleep"):
        yield score(body)
    yield score(authorization=f"Bearer {CLIENTS['wrong']}")
    yield score(authorization=f"Basic {CLIENTS['basic']}")
    yield score(authorization=f"Bearer {good[:-1]}")
    yield score(authorization=f"Bearer {good} {CLIENTS['wrong']}")
    yield score(authorization="")
    yield score(azureml_model_deployment="unknown")
    yield score(path="/unknown")
    yield score(method="DELETE")
    yield score(x_request_id="a" * 101)
    yield score(content_type="nonsense")
    yield score(azureml_model_deployment="failing")
    yield ask(endpoint.port, "GET", f"/healthz/ready{QUERY}", headers=bearer)
    yield ask(endpoint.port, "GET", f"/swagger.json{QUERY}", headers=bearer)


def malformed(endpoint: Supervised, good: str) -> Iterator[bytes]:
    """Requests that no parser takes, with the same secrets."""
    head = f"POST /score{QUERY} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {good}\r\n".encode()
    for rest in (
        b"Authorization: Bearer " + CLIENTS["wrong"].encode() + b"\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"Content-Length: 99999999999\r\n\r\n",
        b"Bad Header: " + CLIENTS["wrong"].encode() + b"\r\n\r\n",
        b"X: " + b"a" * 60_000 + b"\r\n\r\n",
    ):
        yield exchange(endpoint.port, head + rest, half_close=True)


def secrets_of(endpoint: Supervised) -> set[str]:
    """What the supervisor has made."""

    def texts(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for below in value.values():
                yield from texts(below)
        elif isinstance(value, list):
            for below in value:
                yield from texts(below)
        elif isinstance(value, str) and len(value) > 15:
            yield value

    return set(texts(json.loads((endpoint.directory / "credentials.json").read_bytes())))


def files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):  # a worker that starts anew, or a file that takes another's place
            if path.is_file():
                yield path, path.read_bytes()


@pytest.mark.parametrize("mode", ["key", "aml_token"])
def test_no_secret_is_anywhere_but_where_it_is_kept(supervised: Supervised, tmp_path: Path, mode: str) -> None:
    code = make_code(tmp_path / "code", SOURCE)
    settings = {"request_timeout_ms": 1000, "max_concurrent_requests_per_instance": 4, "max_queue_wait_ms": 100}
    deployments = {
        "blue-1": make_deployment(code, environment_variables=VARIABLES, request_settings=settings),
        "failing-1": make_deployment(code, environment_variables={**VARIABLES, "FAIL": "1"}),
    }
    document = supervised.document(
        deployments, {"blue-1": 100, "failing-1": 0}, {"blue": "blue-1", "failing": "failing-1"}
    )
    supervised.start({**document, "auth": {"mode": mode}})
    supervised.await_state("blue-1", "Healthy")
    await_truth(lambda: "no connection" in json.dumps(supervised.report("failing-1")), "the reason is told")
    if mode == "key":
        good = str(ask(supervised.admin, "GET", "/credentials").json["primary_key"])
    else:
        good = str(ask(supervised.admin, "POST", "/token").json["token"])
    told = [answer.body + repr(answer.headers).encode() for answer in calls(supervised, good)]
    assert b"authorization" not in told[0].lower()  # the model gets the headers, but not this one
    told += malformed(supervised, good)
    with connect(supervised.port) as connection:
        connection.sendall(b"POST /score HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer " + good.encode() + b"\r\n")
    ask(supervised.admin, "POST", "/credentials/regenerate", json.dumps({"key_type": "secondary"}))
    told.append(ask(supervised.admin, "PUT", "/configuration", json.dumps({**document, "auth": {"mode": "?"}})).body)
    told.append(ask(supervised.admin, "GET", "/metrics").body)
    status = supervised.status()
    del status["configuration"]
    told.append(json.dumps(status).encode())
    kept = secrets_of(supervised)
    assert kept
    wanted = {good, *VARIABLES.values(), *CLIENTS.values(), *kept}
    for secret in sorted(wanted):
        assert not [text for text in told if secret.encode() in text], secret
        for path, content in files(supervised.directory):
            if path.name not in KEPT and path.parent.name != "run":
                assert secret.encode() not in content, (secret, path)


def test_what_holds_secrets_is_the_owners(supervised: Supervised, tmp_path: Path) -> None:
    """Nobody else may even look into the folder."""
    code = make_code(tmp_path / "code", SOURCE)
    deployments = {"blue-1": make_deployment(code, environment_variables=VARIABLES)}
    supervised.start({**supervised.document(deployments, {"blue-1": 100}), "auth": {"mode": "key"}})
    supervised.await_state("blue-1", "Healthy")
    assert stat.S_IMODE(supervised.directory.stat().st_mode) == 0o700
    for path in supervised.directory.rglob("*"):
        if path.name in {"output.txt", "configuration.json"} and path.parent == supervised.directory:
            continue  # the test's own
        assert not stat.S_IMODE(path.lstat().st_mode) & 0o077, path
    for pid in supervised.worker_pids():
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert not [value for value in VARIABLES.values() if value.encode() in command]


def test_a_worker_has_nothing_of_the_supervisors_environment(supervised: Supervised, tmp_path: Path) -> None:
    """A credential of whoever started the endpoint reaches no model."""
    source = "import os\ndef init(): pass\ndef run(data): return dict(os.environ)\n"
    deployments = {"blue-1": make_deployment(make_code(tmp_path / "code", source))}
    os.environ["CLOUD_CLIENT_SECRET"] = "s3cret-of-the-toolkit"  # noqa: S105 - made up
    try:
        supervised.start(supervised.document(deployments, {"blue-1": 100}))
    finally:
        del os.environ["CLOUD_CLIENT_SECRET"]
    supervised.await_state("blue-1", "Healthy")
    seen = supervised.score().json
    assert "s3cret-of-the-toolkit" not in json.dumps(seen)
    assert seen["AML_APP_ROOT"] == str(tmp_path / "code")

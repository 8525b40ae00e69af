"""Endpoints that ask who calls: declared, applied, called, rotated, and drifted, with `mlops` as a user runs it."""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.e2e.certificates import Pair, make_pair
from tests.e2e.laptop import Laptop
from tests.e2e.processes import until

from mlops.drivers.local import admin
from mlops.drivers.local.changing import change
from mlops.drivers.local.folders import Folders
from mlops.drivers.local.home import Home, read_home
from mlops.errors import TargetError

FUTURE = 4_000_000_000.0
"""Seconds since the epoch."""


def ask(laptop: Laptop, secret: str | None = None, pair: Pair | None = None) -> int:
    """The status that a client gets."""
    connection: http.client.HTTPConnection
    if pair is None:
        connection = http.client.HTTPConnection("127.0.0.1", laptop.port(), timeout=60)
    else:
        context = ssl.create_default_context(cafile=str(pair.certificate))
        connection = http.client.HTTPSConnection("127.0.0.1", laptop.port(), timeout=60, context=context)
    try:
        headers = {"Authorization": f"Bearer {secret}"} if secret is not None else {}
        connection.request("POST", "/score", b'{"who": "Ada"}', {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def secrets(laptop: Laptop, *arguments: str) -> dict[str, Any]:
    done = laptop.run("credentials", "hello", *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def home(laptop: Laptop) -> Home:
    found = read_home(Folders(laptop.root, "here"), "hello")
    assert found is not None
    return found


def test_a_key_opens_an_endpoint_and_is_made_anew_while_the_other_opens(laptop: Laptop) -> None:
    laptop.declare(auth_mode="key")
    laptop.converge()  # which scores the sample request, and needs no key for that
    assert laptop.expect(0, "score", "hello") == '{"well": true}\n'
    found = secrets(laptop)
    assert found["auth_mode"] == "key"
    assert [ask(laptop, key) for key in (None, "guess", found["primary_key"], found["secondary_key"])] == [
        *(401, 401),
        *(200, 200),
    ]
    primary = laptop.run("credentials", "endpoint/hello@here", "--key", "primary").stdout
    assert primary == found["primary_key"] + "\n"
    done = laptop.run("credentials", "hello", "--regenerate", "primary", "--reason", "it was in a screenshot")
    after = secrets(laptop)
    assert done.stdout == f"primary    {after['primary_key']}\nsecondary  {after['secondary_key']}\n"
    assert done.stderr == "The primary key of endpoint/hello@here is a new one.\n"
    assert after["secondary_key"] == found["secondary_key"]
    assert [ask(laptop, key) for key in (found["primary_key"], after["primary_key"], after["secondary_key"])] == [
        *(401, 200, 200),
    ]
    laptop.expect(0, "plan", "--detailed-exitcode")
    told = laptop.expect(0, "history", "endpoint/hello@here", "--limit", "1")
    assert "endpoint/hello@here primary key made anew" in told
    assert "it was in a screenshot" in told


def test_a_key_that_was_made_anew_and_not_recorded_is_told_of(laptop: Laptop) -> None:
    laptop.declare(auth_mode="key")
    laptop.converge()
    found = secrets(laptop)
    lock = laptop.root / ".git/refs/heads/ledger/dev.lock"
    lock.touch()
    os.utime(lock, (FUTURE, FUTURE))  # however slow this machine is, it does not look as if somebody had left it
    done = laptop.run("credentials", "hello", "--regenerate", "primary")
    assert done.returncode == 1
    assert "The primary key of endpoint/hello@here is a new one, and the ledger does not say so." in done.stderr
    lock.unlink()
    assert [ask(laptop, key) for key in (found["primary_key"], secrets(laptop)["primary_key"])] == [401, 200]


def test_a_key_is_not_made_anew_where_the_ledger_cannot_be_read(laptop: Laptop) -> None:
    laptop.declare(auth_mode="key")
    laptop.converge()
    found = secrets(laptop)
    branch = laptop.root / ".git/refs/heads/ledger/dev"
    tip = branch.read_bytes()
    branch.write_bytes(b"0123456789" * 4)
    done = laptop.run("credentials", "hello", "--regenerate", "primary")
    branch.write_bytes(tip)
    assert done.returncode == 1
    assert secrets(laptop) == found


def test_a_token_opens_an_endpoint_and_lives_on_while_its_key_is_made_anew(laptop: Laptop) -> None:
    laptop.declare(auth_mode="aml_token")
    laptop.apply()
    found = secrets(laptop)
    assert found.keys() == {"format", "kind", "address", "auth_mode", "token", "expires_at", "refresh_after"}
    assert found["refresh_after"] < found["expires_at"]
    token = laptop.run("credentials", "hello", "--token").stdout.strip()
    assert [ask(laptop, secret) for secret in (None, token + "x", token)] == [401, 401, 200]
    renewed = secrets(laptop, "--regenerate", "signing")["token"]
    assert [ask(laptop, secret) for secret in (token, renewed)] == [200, 200]
    again = laptop.run("credentials", "hello", "--regenerate", "signing")
    assert (again.returncode, again.stdout) == (1, "")
    assert "Not yet to be made anew" in again.stderr
    assert re.search(r"live until \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", again.stderr)
    assert "mlops credentials hello --regenerate signing --revoke" in again.stderr
    last = secrets(laptop, "--regenerate", "signing", "--revoke")["token"]
    assert [ask(laptop, secret) for secret in (token, renewed, last)] == [401, 401, 200]


def test_no_secret_is_anywhere_but_where_it_is_kept(laptop: Laptop) -> None:
    laptop.declare(auth_mode="key")
    laptop.apply()
    before = secrets(laptop)
    after = secrets(laptop, "--regenerate", "primary")
    ask(laptop, before["primary_key"])
    ask(laptop, after["primary_key"])
    said = laptop.expect(0, "plan", "--format", "json") + laptop.expect(0, "history", "--format", "json")
    said += laptop.expect(0, "status") + laptop.expect(0, "logs", "hello") + laptop.expect(0, "snapshot")
    objects = laptop.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").splitlines()
    said += "".join(laptop.git("cat-file", "-p", name) for name in objects)
    keys = {found[name] for found in (before, after) for name in ("primary_key", "secondary_key")}
    assert not [key for key in keys if key in said]
    holding = {
        path.relative_to(home(laptop).folder).name
        for path in (laptop.root / ".mlops").rglob("*")
        if path.is_file() and any(key.encode() in path.read_bytes() for key in keys)
    }
    assert holding == {"credentials.json"}
    assert (home(laptop).folder / "credentials.json").stat().st_mode & 0o777 == 0o600


_REFUSALS = {
    "none": [([], "auth_mode: key"), (["--regenerate", "primary"], "auth_mode: key")],
    "key": [
        (["--token"], "--key primary"),
        (["--regenerate", "signing"], "mlops credentials hello --regenerate primary"),
    ],
    "aml_token": [
        (["--key", "secondary"], "--token"),
        (["--regenerate", "primary"], "mlops credentials hello --regenerate signing"),
    ],
}


@pytest.mark.parametrize("mode", _REFUSALS)
def test_what_is_not_to_be_had_says_so(laptop: Laptop, mode: str) -> None:
    laptop.declare(auth_mode=mode)
    laptop.apply()
    for arguments, words in _REFUSALS[mode]:
        done = laptop.run("credentials", "hello", *arguments)
        assert (done.returncode, done.stdout) == (5, "")
        assert words in done.stderr


def test_what_makes_no_sense_together_is_wrong_usage(laptop: Laptop) -> None:
    for arguments in (["--key", "primary", "--token"], ["--regenerate", "primary", "--revoke"], ["--revoke"]):
        done = laptop.run("credentials", "hello", *arguments)
        assert (done.returncode, done.stdout) == (64, "")
    assert "declared and not live" in laptop.run("credentials", "hello").stderr


def test_programs_read_the_key_from_the_environment(laptop: Laptop, tmp_path: Path) -> None:
    laptop.declare(auth_mode="key")
    laptop.apply()
    key = secrets(laptop)["primary_key"]
    for language, command in (("curl", ["sh", "-eu"]), ("python", [sys.executable, "-I", "-W", "error"])):
        program = tmp_path / language
        shown = laptop.run("show", "hello", "--client", language).stdout
        assert key not in shown
        assert "mlops credentials hello --stage dev --key primary" in shown
        program.write_text(shown)
        bare = {name: value for name, value in os.environ.items() if name != "MLOPS_KEY"}
        opened = subprocess.run([*command, program], env={**bare, "MLOPS_KEY": key}, capture_output=True, check=True)
        assert json.loads(opened.stdout) == {"well": True}
        for environment in (bare, {**bare, "MLOPS_KEY": "guess"}):
            refused = subprocess.run([*command, program], env=environment, capture_output=True, check=False)
            assert refused.returncode != 0
    document = json.loads(laptop.run("show", "hello", "--openapi").stdout)
    OpenAPIV31SpecValidator(document).validate()
    assert document["components"]["securitySchemes"] == {"Bearer": {"type": "http", "scheme": "bearer"}}
    assert document["paths"]["/score"]["post"]["security"] == [{"Bearer": []}]
    assert "security" not in document["paths"]["/"]["get"]


def test_who_opened_the_gateway_by_hand_is_seen_and_undone(laptop: Laptop) -> None:
    laptop.declare(auth_mode="key")
    laptop.apply()
    told = json.loads(home(laptop).configuration.read_bytes())
    del told["auth"]
    admin.put_configuration(home(laptop), told)
    assert ask(laptop) == 200
    assert 'auth_mode  "none" → "key"  (changed outside of Git' in laptop.expect(3, "drift")
    laptop.converge()
    assert ask(laptop) == 401


def test_a_key_is_asked_for_before_a_canary_begins(laptop: Laptop) -> None:
    laptop.declare()
    laptop.apply()
    assert ask(laptop) == 200
    canary = {"strategy": "canary", "weights": [10], "soak": "1h"}
    main = {"environment_variables": {"NEW": "1"}}
    laptop.declare({"deployments": {"main": main}, "rollout": canary}, auth_mode="key")
    assert "change auth_mode for both" in laptop.expect(0, "plan", "--stage", "dev")
    laptop.apply(code=6)
    assert ask(laptop) == 401
    assert {ask(laptop, secrets(laptop)["primary_key"]) for _ in range(10)} == {200}
    laptop.expect(0, "drift")
    told = json.loads(home(laptop).configuration.read_bytes())
    admin.put_configuration(home(laptop), {name: value for name, value in told.items() if name != "auth"})
    assert ask(laptop) == 200
    assert 'auth_mode  "none" → "key"  (changed outside of Git' in laptop.expect(3, "drift")
    laptop.apply(code=6)
    assert ask(laptop) == 401
    laptop.expect(0, "drift")


def test_what_nobody_declared_is_seen_and_undone(laptop: Laptop) -> None:
    """Copies of requests and traces could be sent elsewhere by whoever reaches the admin socket."""
    laptop.declare()
    laptop.apply()
    told = json.loads(home(laptop).configuration.read_bytes())
    stranger = {"otlp_endpoint": "http://127.0.0.1:9"}
    changed: dict[str, Any] = {
        "auth": {"mode": "key", "token_seconds": 86_400},
        "telemetry": stranger,
        "drain_delay": 0.5,
    }
    admin.put_configuration(home(laptop), {**told, **changed})
    assert ask(laptop) == 401
    said = laptop.expect(3, "drift")
    for field in ("token_seconds  86400", "drain_delay  0.5"):
        assert f"{field} → (unset)  (changed outside of Git" in said
    (line,) = (line for line in said.splitlines() if "telemetry" in line)
    assert "→ (unset)  (changed outside of Git" in line
    laptop.converge()
    assert ask(laptop) == 200
    assert json.loads(home(laptop).configuration.read_bytes()) == told
    laptop.declare(auth_mode=None)  # which is the same, said otherwise
    laptop.expect(0, "plan", "--stage", "dev", "--detailed-exitcode")
    laptop.expect(0, "drift")


def test_requests_are_logged_from_the_next_one_on_and_no_worker_is_started_anew(laptop: Laptop) -> None:
    laptop.declare()
    laptop.converge()
    before = laptop.expect(0, "score", "hello")
    laptop.declare(telemetry={"access_log": "100%"})
    planned = laptop.expect(0, "plan")
    assert "restart" not in planned
    laptop.converge()
    assert (ask(laptop), laptop.expect(0, "score", "hello")) == (200, before)
    until(lambda: "POST /score 200 " in laptop.expect(0, "logs", "hello"), "the request in the log")


def test_https_is_turned_on_renewed_and_off(laptop: Laptop, tmp_path: Path) -> None:
    first = make_pair(tmp_path / "tls")
    laptop.variables["CERTIFICATES"] = str(tmp_path / "tls")
    tls = {"certificate": "${env:CERTIFICATES}/server.pem", "key": "${env:CERTIFICATES}/server.key"}
    laptop.declare()
    laptop.apply()
    laptop.declare(auth_mode="key", tls=tls)
    laptop.converge()
    key = secrets(laptop)["primary_key"]
    assert f"https://127.0.0.1:{laptop.port()}/score" in laptop.expect(0, "status")
    with ThreadPoolExecutor(12) as clients:  # whose handshakes come at once
        assert set(clients.map(lambda _: ask(laptop, key, first), range(120))) == {200}
    del laptop.variables["CERTIFICATES"]  # which is needed for another certificate, and for nothing else
    laptop.declare(auth_mode="key", tls=tls, description="Said by somebody else.")
    laptop.converge()
    assert ask(laptop, key, first) == 200
    laptop.declare(auth_mode="key", tls={**tls, "key": "${env:CERTIFICATES}/other.key"})
    assert "Environment variable is not set" in laptop.apply(code=1)
    assert ask(laptop, key, first) == 200
    program = tmp_path / "call.py"
    program.write_text(laptop.run("show", "hello", "--client", "python").stdout)
    trusting = {**os.environ, "SSL_CERT_FILE": str(first.certificate), "MLOPS_KEY": key}
    done = subprocess.run([sys.executable, program], env=trusting, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"well": True}
    second = make_pair(tmp_path / "tls", "renewed")
    laptop.declare(auth_mode="key", tls={"certificate": str(second.certificate), "key": str(second.key)})
    (supervisor,) = laptop.supervisors()
    laptop.converge()
    assert laptop.supervisors() == [supervisor]
    assert ask(laptop, key, second) == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(laptop, key, first)
    laptop.declare(auth_mode="key")
    laptop.converge()
    assert ask(laptop, key) == 200


def test_a_key_that_cannot_be_used_changes_nothing(laptop: Laptop, tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "tls")
    make_pair(laptop.root / "certificates")
    laptop.variables["LEADS_INSIDE"] = str(laptop.root / "certificates")
    laptop.declare()
    laptop.apply()
    for key, summary in (
        ("~/nowhere.key", "Cannot read the TLS file"),
        ("${env:NO_SUCH_THING}/server.key", "Environment variable is not set"),
        ("${env:LEADS_INSIDE}/server.key", "Private file in the repository"),
    ):
        laptop.declare(tls={"certificate": str(pair.certificate), "key": key})
        assert summary in laptop.apply(code=1)
        assert ask(laptop) == 200
    laptop.declare()
    laptop.converge()


def test_https_that_cannot_be_turned_on_ends_nothing(laptop: Laptop, tmp_path: Path) -> None:
    """Neither by a key of another certificate, nor by a document that no supervisor takes; http goes on."""
    pair, other = make_pair(tmp_path / "tls"), make_pair(tmp_path / "tls", "other")
    laptop.declare()
    laptop.apply()
    (supervisor,) = laptop.supervisors()
    laptop.declare(tls={"certificate": str(pair.certificate), "key": str(other.key)})
    said = laptop.apply(code=1)
    assert "Certificate cannot be used" in said
    assert "KEY_VALUES_MISMATCH" in said
    assert ask(laptop) == 200
    told = json.loads(home(laptop).configuration.read_bytes())
    wanted = {**told, "tls": {"certificate": str(pair.certificate), "key": str(pair.key)}, "drain_delay": -1}
    with pytest.raises(TargetError, match="drain_delay"):
        change(home(laptop), wanted, lambda: Path(sys.executable))
    assert ask(laptop) == 200
    assert laptop.supervisors() == [supervisor]
    laptop.declare()
    laptop.converge()


def test_what_served_is_started_again_where_its_successor_does_not_start(laptop: Laptop, tmp_path: Path) -> None:
    """A certificate that OpenSSL loads, and in which the supervisor does not find what it shows of it."""
    pair = make_pair(tmp_path / "tls")
    trusted = tmp_path / "tls" / "trusted.pem"
    make_trusted = ["openssl", "x509", "-trustout", "-in", str(pair.certificate), "-out", str(trusted)]
    subprocess.run(make_trusted, check=True, capture_output=True)
    laptop.declare()
    laptop.apply()
    (supervisor,) = laptop.supervisors()
    laptop.declare(tls={"certificate": str(trusted), "key": str(pair.key)})
    said = laptop.apply(code=1)
    assert "Supervisor did not start" in said
    assert "Returned to what served before" in said
    laptop.declare()
    laptop.converge()
    assert ask(laptop) == 200
    assert laptop.supervisors() != [supervisor]


def test_where_nothing_was_collected_there_is_nothing_to_roll_up(laptop: Laptop) -> None:
    done = laptop.run("collect", "compact", "hello")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Nothing was collected" in done.stderr
    assert laptop.run("collect", "compact", "hello", "--before", "soonish").returncode == 64

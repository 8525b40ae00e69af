"""Who gets in: keys, tokens, and what becomes of them when they are made anew while requests come."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import stat
import string
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.scoring.load import Target, background
from tests.scoring.rig import Answer, Supervised, ask, exchange, make_code, make_deployment
from tests.scoring.wired import wired

from mlops_scoring.gateway.authentication import KeyGuard, TokenGuard
from mlops_scoring.gateway.tokens import SKEW_SECONDS, SigningKey, issue
from mlops_scoring.supervisor.credentials import CredentialStore, TooSoon
from mlops_scoring.supervisor.directory import Directory
from mlops_scoring.wire.messages import Request

HEADERS = "def init(): pass\ndef run(data, request_headers): return dict(request_headers)\n"
NOW = 1_800_000_000.0
KEY = SigningKey("k1", b"s" * 32)


def start(supervised: Supervised, code: Path, mode: str, **auth: object) -> None:
    document = supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 100}, {"blue": "blue-1"})
    supervised.start({**document, "auth": {"mode": mode, **auth}})
    supervised.await_state("blue-1", "Healthy")


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def keys(supervised: Supervised) -> tuple[str, str]:
    found = ask(supervised.admin, "GET", "/credentials").json
    return found["primary_key"], found["secondary_key"]


def regenerate(supervised: Supervised, key_type: str, **more: object) -> Answer:
    return ask(supervised.admin, "POST", "/credentials/regenerate", json.dumps({"key_type": key_type, **more}))


def test_keys_open_and_nothing_else_does(supervised: Supervised, tmp_path: Path) -> None:
    start(supervised, make_code(tmp_path / "c", HEADERS), "key")
    primary, secondary = keys(supervised)
    assert len({primary, secondary}) == 2
    assert min(len(primary), len(secondary)) >= 43
    for key in (primary, secondary):
        answer = ask(supervised.port, body="{}", headers={**bearer(key), "X-Mine": "kept"})
        assert answer.status == 200
        assert answer.json["X-Mine"] == "kept"
        assert "Authorization" not in answer.json
    wrong: list[dict[str, str]] = [
        {},
        {"Authorization": primary},
        {"Authorization": f"Basic {primary}"},
        {"Authorization": "Bearer"},
        *(
            bearer(text)
            for text in ("", "x", primary[:-1], primary + "x", primary.swapcase(), f"{primary},{secondary}")
        ),
    ]
    for headers in wrong:
        refused = ask(supervised.port, body="{}", headers=headers)
        assert refused.status == 401, headers
        assert refused.headers["www-authenticate"].startswith("Bearer realm=")
        assert refused.json["message"].endswith("Send it as 'Authorization: Bearer ...'.")
        assert refused.headers["x-request-id"]
    assert ask(supervised.port, "GET", "/swagger.json").status == 401
    assert ask(supervised.port, "GET", "/healthz/ready").status == 200
    assert ask(supervised.port, "GET", "/").body == b"Healthy"
    assert ask(supervised.port, "GET", "/healthz/ready/../../score").status == 401
    assert supervised.report("blue-1")["requests"] == 2
    texts = [supervised.output(), json.dumps(supervised.status())]
    texts += [path.read_text(encoding="utf-8") for path in (supervised.directory / "logs").iterdir()]
    assert not [text for text in texts if primary in text or secondary in text]


def test_two_authorization_headers_are_refused(supervised: Supervised, code: Path) -> None:
    start(supervised, code, "key")
    line = f"Authorization: Bearer {keys(supervised)[0]}\r\n".encode()
    request = b"POST /score HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 2\r\n"
    assert exchange(supervised.port, request + line + b"\r\n{}").startswith(b"HTTP/1.1 200 ")
    assert exchange(supervised.port, request + line + line + b"\r\n{}").startswith(b"HTTP/1.1 400 ")


def test_without_authentication_the_header_is_the_models(supervised: Supervised, tmp_path: Path) -> None:
    start(supervised, make_code(tmp_path / "c", HEADERS), "none")
    assert ask(supervised.port, body="{}", headers=bearer("mine")).json["Authorization"] == "Bearer mine"


def test_an_unknown_client_cannot_make_the_gateway_hold_a_body(short_path: Path) -> None:
    async def main() -> None:
        async with wired(short_path) as side:
            side.gateway.guard = KeyGuard(["right"])
            head = b"POST /score HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n"
            assert (await side.converse(head)).startswith(b"HTTP/1.1 401 ")
            assert side.listener.buffered.size == 0
            assert side.listener.refusals == {401: 1}
            assert not side.worker.received

    asyncio.run(main())


def test_an_offer_of_another_protocol_needs_the_key_too_and_hides_it(short_path: Path) -> None:
    """The head of such a request is read twice."""

    async def main() -> None:
        async with wired(short_path) as side:
            side.gateway.guard = KeyGuard(["right"])
            head = b"GET /score HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
            last = b"\r\nGET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
            answer = await side.converse(head + b"Authorization: Bearer right\r\n" + last)
            assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
            assert b"right" not in side.worker.received
            assert (await side.converse(head + last)).startswith(b"HTTP/1.1 401 ")

    asyncio.run(main())


def test_keys_are_rotated_under_load_without_a_refused_request(supervised: Supervised, code: Path) -> None:
    """As a team does it: the unused key is made anew, clients move to it, then the other one is."""
    start(supervised, code, "key")
    primary, secondary = keys(supervised)
    with ExitStack() as before:
        first = before.enter_context(background(Target(supervised.port, headers=bearer(primary)), connections=4))
        first.wait_for_more(100)
        changed = regenerate(supervised, "secondary").json
        assert changed["primary_key"] == primary
        assert ask(supervised.port, body="{}", headers=bearer(secondary)).status == 401
        with background(Target(supervised.port, headers=bearer(changed["secondary_key"])), connections=4) as second:
            second.wait_for_more(100)
            before.close()
            assert regenerate(supervised, "primary").status == 200
            second.wait_for_more(100)
            assert ask(supervised.port, body="{}", headers=bearer(primary)).status == 401
    for load in (first, second):
        assert (load.report().failures, dict(load.reasons)) == (0, {})


def test_secrets_are_the_owners_and_survive_a_restart(supervised: Supervised, code: Path) -> None:
    start(supervised, code, "key")
    before = keys(supervised)
    path = supervised.directory / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert regenerate(supervised, "primary").status == 200
    after = keys(supervised)
    assert (after[0] != before[0], after[1]) == (True, before[1])
    supervised.stop()
    supervised.start()
    supervised.await_state("blue-1", "Healthy")
    assert keys(supervised) == after
    assert ask(supervised.port, body="{}", headers=bearer(after[0])).status == 200
    assert ask(supervised.port, body="{}", headers=bearer(before[0])).status == 401


def test_secrets_that_cannot_be_read_stop_the_start_and_are_left_alone(supervised: Supervised, code: Path) -> None:
    supervised.directory.mkdir()
    path = supervised.directory / "credentials.json"
    path.write_text('{"format": 1, "primary_key": "a-secret"}', encoding="utf-8")
    assert supervised.launch(supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 100})).wait(60) == 2
    assert "credentials.secondary_key: is missing" in supervised.output()
    assert "a-secret" not in supervised.output()
    assert "a-secret" in path.read_text(encoding="utf-8")


def test_tokens_open_and_their_signing_key_is_rotated_without_a_refused_request(
    supervised: Supervised, code: Path
) -> None:
    start(supervised, code, "aml_token", token_seconds=600)

    def token() -> str:
        given = ask(supervised.admin, "POST", "/token").json
        assert given["refresh_after"] < given["expires_at"]
        return str(given["token"])

    old = token()
    with background(Target(supervised.port, headers=bearer(old)), connections=4) as load:
        load.wait_for_more(100)
        assert regenerate(supervised, "signing").status == 200
        load.wait_for_more(100)
        again = regenerate(supervised, "signing")
        assert again.status == 409
        assert "'revoke': true" in again.json["message"]
        load.wait_for_more(100)
    assert load.report().failures == 0
    new = token()
    assert ask(supervised.port, body="{}", headers=bearer(new)).status == 200
    assert ask(supervised.port, body="{}", headers=bearer(keys(supervised)[0])).status == 401
    assert regenerate(supervised, "signing", revoke=True).status == 200
    for text in (old, new):
        assert ask(supervised.port, body="{}", headers=bearer(text)).status == 401
    assert ask(supervised.port, body="{}", headers=bearer(token())).status == 200


@pytest.mark.parametrize(
    "order", [b"", b"[]", b"{}", b'{"key_type": "both"}', b'{"key_type": "primary", "more": 1}', b'{"key_type": 1}']
)
def test_orders_that_are_not_understood_change_nothing(serving: Supervised, order: bytes) -> None:
    before = keys(serving)
    assert ask(serving.admin, "POST", "/credentials/regenerate", order).status == 400
    assert keys(serving) == before


def test_the_mode_changes_with_the_configuration(serving: Supervised, code: Path) -> None:
    document = serving.document({"blue-1": make_deployment(code)}, {"blue-1": 100})
    assert serving.score().status == 200
    assert serving.put({**document, "auth": {"mode": "key"}}).status == 200
    assert serving.score().status == 401
    assert serving.put({**document, "auth": {"mode": "aad_token"}}).status == 400
    assert serving.put(document).status == 200
    assert serving.score().status == 200


# Tokens as values


def verdict(text: str | bytes, *, at: float = NOW, endpoint: str = "fraud") -> int | None:
    request = Request()
    value = text if isinstance(text, bytes) else text.encode()
    request.headers = [(b"authorization", b"Bearer " + value)]
    refusal = TokenGuard([KEY, SigningKey("k0", b"o" * 32)], endpoint, lambda: at).refuse(request)
    assert request.options == frozenset({b"authorization"})
    return None if refusal is None else refusal.status


def signed(claims: object, key: bytes = KEY.secret, prefix: bytes = b"mlt1") -> bytes:
    body = prefix + b"." + base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return body + b"." + base64.urlsafe_b64encode(hmac.digest(key, body, "sha256")).rstrip(b"=")


def test_a_token_lives_from_its_issue_to_its_end() -> None:
    token = issue(KEY, "fraud", NOW, 60)
    assert (token.expires_at, token.refresh_after) == (NOW + 60, NOW + 48)
    assert [verdict(token.text, at=NOW + later) for later in (0, 59, 60, 10_000)] == [None, None, 401, 401]
    assert [verdict(token.text, at=NOW - early) for early in (SKEW_SECONDS, SKEW_SECONDS + 1)] == [None, 401]
    assert verdict(issue(SigningKey("k0", b"o" * 32), "fraud", NOW, 60).text) is None


def test_every_changed_character_makes_a_token_worthless() -> None:
    text = issue(KEY, "fraud", NOW, 60).text
    for place, letter in enumerate(text):
        other = "A" if letter != "A" else "B"
        assert verdict(text[:place] + other + text[place + 1 :]) == 401, place
        assert verdict(text[:place] + text[place + 1 :]) == 401, place


def test_a_token_has_one_spelling() -> None:
    """The last letter of a signature has bits that mean nothing."""
    text = issue(KEY, "fraud", NOW, 60).text
    letters = string.ascii_letters + string.digits + "-_="
    assert [letter for letter in letters if verdict(text[:-1] + letter) is None] == [text[-1]]


GOOD = {"kid": "k1", "aud": "fraud", "iat": int(NOW), "exp": int(NOW) + 60}


def test_the_tests_own_signature_is_the_real_one() -> None:
    assert verdict(signed(GOOD)) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(signed({**GOOD, "aud": "other"}), id="another endpoint's"),
        pytest.param(signed({**GOOD, "kid": "k0"}), id="another key's name"),
        pytest.param(signed(GOOD, b"x" * 32), id="a stranger's key"),
        pytest.param(signed(GOOD, b""), id="an empty key"),
        pytest.param(signed({**GOOD, "exp": "9999999999"}), id="an end that is text"),
        pytest.param(signed({**GOOD, "exp": True}), id="an end that is a truth"),
        pytest.param(signed({**GOOD, "exp": 1e300}), id="an end that is a float"),
        pytest.param(signed({key: value for key, value in GOOD.items() if key != "exp"}), id="no end"),
        pytest.param(signed([]), id="no object"),
        pytest.param(signed(GOOD, prefix=b"none"), id="another algorithm"),
        pytest.param(signed({**GOOD, "alg": "none"}).rpartition(b".")[0] + b".", id="no signature"),
        pytest.param(signed({**GOOD, "pad": "x" * 600}), id="too long"),
        pytest.param(signed(GOOD) + b"=", id="padding"),
        pytest.param(signed(GOOD) + b".x", id="four parts"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"..", id="dots"),
        pytest.param(b"\xff.\xfe.\xfd", id="bytes"),
        pytest.param(
            b".".join(
                base64.urlsafe_b64encode(part).rstrip(b"=")
                for part in (b'{"alg":"none"}', json.dumps(GOOD).encode(), hashlib.sha256(b"").digest())
            ),
            id="a JWT",
        ),
    ],
)
def test_what_is_no_token_of_this_endpoint_is_refused(text: bytes) -> None:
    assert verdict(text) == 401


def test_a_second_rotation_waits_for_the_tokens_of_the_first(tmp_path: Path) -> None:
    moment = [NOW]
    directory = Directory(tmp_path)
    clock: Callable[[], float] = lambda: moment[0]  # noqa: E731 - a clock that the test turns
    store = CredentialStore(directory, clock)
    token = store.issue("fraud", 100)
    request = Request()
    request.headers = [(b"authorization", f"Bearer {token.text}".encode())]
    store.regenerate("signing", 100)
    assert store.guard("aml_token", "fraud").refuse(request) is None
    with pytest.raises(TooSoon):
        store.regenerate("signing", 100)
    assert CredentialStore(directory, clock).credentials == store.credentials
    moment[0] += 100 + SKEW_SECONDS
    store.regenerate("signing", 100)
    assert store.guard("aml_token", "fraud").refuse(request) is not None


def test_the_signing_key_before_is_believed_until_its_tokens_have_ended_and_no_longer(tmp_path: Path) -> None:
    """Whoever has it may sign tokens of any length; the guard is the one of the moment of the rotation."""
    moment = [NOW]
    store = CredentialStore(Directory(tmp_path), lambda: moment[0])
    leaked = store.credentials.signing
    store.issue("fraud", 1000)  # `token_seconds` was longer then
    store.regenerate("signing", 100)
    guard = store.guard("aml_token", "fraud")

    def is_let_in(key: SigningKey) -> bool:
        request = Request()
        request.headers = [(b"authorization", f"Bearer {issue(key, 'fraud', moment[0], 10**6).text}".encode())]
        return guard.refuse(request) is None

    moment[0] = NOW + 1000 + SKEW_SECONDS - 1
    assert is_let_in(leaked)
    moment[0] += 1
    assert not is_let_in(leaked)
    assert is_let_in(store.credentials.signing)


def test_tokens_outlive_a_restart_before_the_rotation(supervised: Supervised, code: Path) -> None:
    """Also those that were issued for longer than tokens live now, by a supervisor that was killed."""
    start(supervised, code, "aml_token", token_seconds=6000)
    old = ask(supervised.admin, "POST", "/token").json
    assert supervised.process is not None
    supervised.process.kill()
    supervised.process.wait()
    start(supervised, code, "aml_token", token_seconds=1)
    assert regenerate(supervised, "signing").status == 200
    assert ask(supervised.port, body="{}", headers=bearer(old["token"])).status == 200
    path = supervised.directory / "credentials.json"
    assert json.loads(path.read_bytes())["previous_until"] >= old["expires_at"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_how_long_tokens_live_is_written_seldom_and_never_too_late(tmp_path: Path) -> None:
    moment = [NOW]
    kept: set[int] = set()
    store = CredentialStore(Directory(tmp_path), lambda: moment[0])
    for _ in range(200):
        end = store.issue("fraud", 100).expires_at
        kept.add(CredentialStore(Directory(tmp_path)).credentials.tokens_until)
        assert end <= max(kept) <= end + 10
        moment[0] += 1
    assert len(kept) == 19, "every eleventh second"


def test_a_disk_that_takes_nothing_keeps_nobody_from_a_token(tmp_path: Path) -> None:
    store = CredentialStore(Directory(tmp_path), lambda: NOW)
    path = tmp_path / "credentials.json"
    path.unlink()
    path.mkdir()
    assert store.issue("fraud", 1000).expires_at == NOW + 1000
    path.rmdir()
    store.regenerate("signing", 100)
    assert store.credentials.previous_until == NOW + 1000 + SKEW_SECONDS

"""Callers, versions and data of an endpoint that runs on this machine."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from pytest_bdd import given, parsers, scenarios, then, when
from tests.e2e.greetings import GREETINGS, PATIENT, deployment
from tests.e2e.laptop import Laptop, make_laptop, make_template
from tests.e2e.processes import until

scenarios("serving.feature")

_CARD = "4111 1111 1111 1111"
_FAILING = """def init():
    pass


def run(data):
    print("a copy", "was heard")
    raise ValueError(data)
"""


@dataclass
class Caller:
    """Somebody who asks all the while.

    Attributes:
        statuses: What the answers' statuses were.
    """

    ask: Callable[[], int]
    statuses: Counter[int] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()
        until(lambda: self.statuses.total() > 5, "the first answers")

    def _go_on(self) -> None:
        while not self._stop.is_set():
            self.statuses[self.ask()] += 1

    def wait_for_more(self) -> None:
        seen = self.statuses.total()
        until(lambda: self.statuses.total() > seen + 20, "more answers")

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()


@dataclass
class Scene:
    """The machine, and what is remembered of it."""

    laptop: Laptop
    secrets: dict[str, str] = field(default_factory=dict)
    callers: list[Caller] = field(default_factory=list)
    workers: list[int] = field(default_factory=list)
    exit_code: int | None = None
    said: str = ""

    def ask(self, secret: str = "", body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.laptop.port(), timeout=60)
        try:
            if secret:
                headers["Authorization"] = f"Bearer {secret}"
            sent = body if isinstance(body, bytes) else json.dumps({"who": "Ada"} if body is None else body).encode()
            connection.request("POST", "/score", sent, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def credentials(self, *arguments: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(
            self.laptop.run("credentials", "hello", *arguments, "--format", "json").stdout
        )
        return found

    def collected(self, designation: str) -> list[dict[str, Any]]:
        """Every event of a collection that is written to its end."""
        folder = self.laptop.root / ".mlops" / "collected" / "here" / "hello" / "greeting" / "1" / designation
        files = sorted(folder.rglob("*.jsonl"))
        lines = [line for file in files for line in file.read_text().splitlines(keepends=True)]
        return [json.loads(line) for line in lines if line.endswith("\n")]


@pytest.fixture(scope="module")
def served_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository to copy."""
    return make_template(tmp_path_factory.mktemp("served") / "greetings")


@pytest.fixture
def scene(served_template: Path, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(make_laptop(served_template, tmp_path / "greetings"))
    yield made
    for caller in made.callers:
        caller.stop()
    made.laptop.close()


# ------------------------------------------------------------------------------------------------------------ callers


@given("an endpoint that asks for a key")
def asks_for_a_key(scene: Scene) -> None:
    scene.laptop.declare(auth_mode="key")
    scene.laptop.converge()
    scene.secrets = scene.credentials()


@given("a caller who uses the secondary key all the while")
def caller(scene: Scene) -> None:
    made = Caller(lambda: scene.ask(scene.secrets["secondary_key"])[0])
    scene.callers.append(made)
    made.start()


@when("the primary key is made anew")
def rotate(scene: Scene) -> None:
    scene.secrets["old"] = scene.secrets["primary_key"]
    scene.secrets |= scene.credentials("--regenerate", "primary")
    for each in scene.callers:
        each.wait_for_more()


@then("the old primary key opens nothing")
def old_key(scene: Scene) -> None:
    assert scene.ask(scene.secrets["old"])[0] == 401


@then("the new primary key opens the endpoint")
def new_key(scene: Scene) -> None:
    assert scene.ask(scene.secrets["primary_key"])[0] == 200


@then("the caller was never refused")
def never_refused(scene: Scene) -> None:
    for each in scene.callers:
        each.stop()
        assert set(each.statuses) == {200}


@then("neither Git nor any log holds a key")
def no_key_is_kept(scene: Scene) -> None:
    keys = [scene.secrets[name] for name in ("old", "primary_key", "secondary_key")]
    objects = scene.laptop.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").splitlines()
    texts = [scene.laptop.git("cat-file", "-p", name) for name in objects]
    texts += [path.read_text() for path in scene.laptop.endpoints.rglob("*.log*")]
    assert not [key for key in keys if any(key in text for text in texts)]


@given("an endpoint that asks for a token")
def asks_for_a_token(scene: Scene) -> None:
    scene.laptop.declare(auth_mode="aml_token")
    scene.laptop.converge()
    scene.secrets = scene.credentials()


@when("the signing key is made anew")
def rotate_signing(scene: Scene) -> None:
    scene.credentials("--regenerate", "signing")


@when("the signing key is made anew and all tokens are revoked")
def revoke(scene: Scene) -> None:
    scene.credentials("--regenerate", "signing", "--revoke")


@then("a token from before still opens the endpoint")
def token_opens(scene: Scene) -> None:
    assert scene.ask(scene.secrets["token"])[0] == 200


@then("a token from before opens nothing")
def token_opens_nothing(scene: Scene) -> None:
    assert scene.ask(scene.secrets["token"])[0] == 401


# ----------------------------------------------------------------------------------------------------------- versions


@given("version 1 serves")
def serves_one(scene: Scene) -> None:
    scene.laptop.converge()


@when("version 2 is declared as a canary that stays at 10 % for an hour")
def declare_canary(scene: Scene) -> None:
    scene.laptop.declare(
        deployments={"main": deployment("greeting:2")}, rollout={"strategy": "canary", "weights": [10], "soak": "1h"}
    )


@when("version 1 is declared again")
def declare_stable(scene: Scene) -> None:
    scene.laptop.declare()


@when("I apply")
def apply(scene: Scene) -> None:
    done = scene.laptop.run("apply", "--yes")
    scene.exit_code, scene.said = done.returncode, done.stdout + done.stderr


@then("it ends with exit code 6 because it soaks")
def soaks(scene: Scene) -> None:
    assert scene.exit_code == 6, scene.said


def declare_two(laptop: Laptop, traffic: Mapping[str, int]) -> None:
    """Two deployments, of one version each."""
    deployments = {"main": deployment("greeting:1"), "other": deployment("greeting:2")}
    laptop.declare(deployments=deployments, traffic=traffic)


@given("version 1 serves beside version 2 with 90 % and 10 %")
def serves_both(scene: Scene) -> None:
    declare_two(scene.laptop, {"main": 90, "other": 10})
    scene.laptop.converge()
    scene.workers = sorted(scene.laptop.workers())


@when("the weights become 25 % and 75 %")
def change_weights(scene: Scene) -> None:
    declare_two(scene.laptop, {"main": 25, "other": 75})


@then(parsers.parse("of {total:d} requests {share:d} are answered by version 2"))
def share_of_two(scene: Scene, total: int, share: int) -> None:
    answers = [scene.ask() for _ in range(total)]
    assert {status for status, _ in answers} == {200}
    assert Counter(answer["greeting"] for _, answer in answers) == Counter(
        {GREETINGS["1"]: total - share, GREETINGS["2"]: share}
    )


@then("the deployment header reaches version 1")
def header_reaches_stable(scene: Scene) -> None:
    found = {scene.ask(**{"azureml-model-deployment": "main"})[1]["greeting"] for _ in range(20)}
    assert found == {GREETINGS["1"]}


@then("no process was started anew")
def same_workers(scene: Scene) -> None:
    assert sorted(scene.laptop.workers()) == scene.workers


@given("version 1 serves, and a fifth of its requests is copied to version 2, which fails")
def mirrored(scene: Scene) -> None:
    many = {**PATIENT, "max_concurrent_requests_per_instance": 50}  # copies are dropped where no worker is free
    script = {"code": "failing", "scoring_script": "score.py"}
    other = deployment("greeting:2", code_configuration=script, request_settings=many)
    scene.laptop.declare(
        deployments={"main": deployment(), "other": other},
        traffic={"main": 100},
        mirror_traffic={"other": 20},
        sample_request=None,
    )
    scene.laptop.write("endpoints/hello/failing/score.py", _FAILING)
    scene.laptop.converge()


@then(parsers.parse("version 2 heard of {count:d} requests"))
def heard(scene: Scene, count: int) -> None:
    until(lambda: mirrored_requests(scene) == count, f"{count} copies")


def mirrored_requests(scene: Scene) -> int:
    """How often the script of version 2 says in its log that it was called."""
    return scene.laptop.run("logs", "hello", "--deployment", "other", "--lines", "10000").stdout.count("copy was heard")


# --------------------------------------------------------------------------------------------------------------- data


@given("an endpoint that collects requests and answers, never a card and only a digest of names")
def collects(scene: Scene) -> None:
    collector = {"collections": {"request": {"deny": ["card"], "hash": ["name"]}, "response": {"enabled": "True"}}}
    scene.laptop.declare(deployments={"main": deployment(data_collector=collector)}, sample_request=None)
    scene.laptop.converge()


@when("Ada asks 3 times and Grace once")
def people_ask(scene: Scene) -> None:
    for name in ("Ada", "Ada", "Grace", "Ada"):
        assert scene.ask(body={"name": name, "card": _CARD, "amount": 5})[0] == 200


@then(parsers.parse("{requests:d} requests and {answers:d} answers are kept, each pair under one id"))
def kept(scene: Scene, requests: int, answers: int) -> None:
    until(lambda: len(scene.collected("request")) == requests, "the requests")
    until(lambda: len(scene.collected("response")) == answers, "the answers")
    asked = [event["correlationid"] for event in scene.collected("request")]
    assert len(set(asked)) == requests
    assert sorted(asked) == sorted(event["correlationid"] for event in scene.collected("response"))


@then(parsers.parse("{requests:d} requests and {answers:d} answers are kept"))
def kept_in_all(scene: Scene, requests: int, answers: int) -> None:
    assert len(scene.collected("request")) == requests
    assert len(scene.collected("response")) == answers


@when("somebody sends what cannot be searched for a card")
def unsearchable(scene: Scene) -> None:
    assert scene.ask(body=f"card={_CARD}".encode())[0] == 500


@then(parsers.parse('the status says "{counts}"'))
def status_says(scene: Scene, counts: str) -> None:
    until(lambda: f"  {counts}  " in scene.laptop.run("status").stdout, "what was counted")


@then("no card and no name is kept, and Ada has one digest")
def private(scene: Scene) -> None:
    data = [event["data"] for event in scene.collected("request")]
    assert all(one.keys() == {"name", "amount"} for one in data)
    assert sorted(Counter(one["name"] for one in data).values()) == [1, 3]
    files = (path for path in (scene.laptop.root / ".mlops").rglob("*") if path.is_file())
    assert not [path for path in files if _CARD.encode() in path.read_bytes() or b'"Grace"' in path.read_bytes()]


@when("the endpoint is deleted")
def delete(scene: Scene) -> None:
    scene.laptop.expect(0, "destroy", "--yes")
    scene.laptop.check_gone()


@when("what was collected is rolled into tables")
def roll_up(scene: Scene) -> None:
    scene.laptop.expect(0, "collect", "compact", "hello")
    assert scene.collected("request") == [], "their events are in the tables now"


@then(parsers.parse("the tables have {requests:d} requests and {answers:d} answers"))
def tables(scene: Scene, requests: int, answers: int) -> None:
    folder = scene.laptop.root / ".mlops" / "collected" / "here" / "hello" / "greeting" / "1"
    found = {
        name: [row for file in (folder / name).rglob("*.parquet") for row in parquet.read_table(file).to_pylist()]
        for name in ("request", "response")
    }
    assert [len(rows) for rows in found.values()] == [requests, answers]
    assert {row["_correlationid"] for row in found["request"]} <= {row["_correlationid"] for row in found["response"]}
    assert [json.loads(row["_data"])["amount"] for row in found["request"]] == [5] * requests

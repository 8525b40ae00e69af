"""Two people who apply at once: one wins, the other is told so and writes nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.laptop import Laptop, make_laptop
from tests.e2e.processes import Gate, kill

from mlops.resource import Event

_ROOT = Path(__file__).parents[2]
_ENTRY_POINT = "[mlops.drivers]\nfar = tests.e2e.far_driver:FarDriver\n"


@dataclass(frozen=True)
class Team:
    """Two clones of one remote, where the ledger is kept, and one compute that both reach."""

    ada: Laptop
    bo: Laptop
    remote: Path
    far: Path

    def live(self) -> dict[str, str]:
        """The model that each live endpoint serves, by address."""
        items = json.loads(self.far.read_bytes()) if self.far.exists() else []
        found = {}
        for item in items:
            (deployment,) = item["spec"]["deployments"].values()
            found[item["address"]] = deployment["model"]["version"]
        return found

    def refuse(self) -> None:
        """Have the remote reject every push."""
        hook = self.remote / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho 'the shop is closed' >&2\nexit 1\n")
        hook.chmod(0o755)

    def accept(self) -> None:
        """Have it take pushes again."""
        (self.remote / "hooks" / "pre-receive").unlink()

    def check(self) -> None:
        """Both see one sound ledger, with every run closed."""
        self.ada.check_ledgers("origin")
        self.bo.check_ledgers("origin")


@pytest.fixture
def team(template: Path, tmp_path: Path) -> Iterator[Team]:
    """Two clones; both declare the endpoint `hello` on the far compute, and nothing is applied yet."""
    plugin = tmp_path / "plugin" / "far-1.0.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: far\nVersion: 1.0\n")
    (plugin / "entry_points.txt").write_text(_ENTRY_POINT)
    far = tmp_path / "far.json"
    computes = {"here": {"type": "far", "file": str(far)}}
    ada = make_laptop(template, tmp_path / "ada", computes=computes, ledger={"remote": "origin"})
    remote = tmp_path / "remote.git"
    ada.git("clone", "-q", "--bare", str(ada.root), str(remote))
    ada.git("remote", "add", "origin", str(remote))
    ada.git("clone", "-q", str(remote), str(tmp_path / "bo"))
    bo = Laptop(tmp_path / "bo")
    for laptop in (ada, bo):
        path = (str(plugin.parent), str(_ROOT), *filter(None, (os.environ.get("PYTHONPATH"),)))
        laptop.variables["PYTHONPATH"] = os.pathsep.join(path)
    yield Team(ada, bo, remote, far)
    ada.close()
    bo.close()


HELLO = "endpoint/hello@here"


def test_the_second_in_one_clone_is_told_who_applies_and_writes_nothing(laptop: Laptop, gate: Gate) -> None:
    laptop.serve("1", environment_variables={"GATE": str(gate.path)})
    first = laptop.start("apply", "--stage", "dev", "--yes")
    with gate.held():
        laptop.serve("2")
        said = laptop.apply(7)
        assert f"process {first.pid}" in said, said
        assert "test@example.com" in said
        assert len(laptop.supervisors()) == 1
    first.communicate()
    assert first.returncode == 0
    assert laptop.greeting() == "Hello"
    laptop.converge()
    assert laptop.greeting() == "Moin"
    laptop.check_single()


@pytest.mark.parametrize("_round", range(2))
def test_two_that_start_at_the_same_time_never_both_write(laptop: Laptop, _round: int) -> None:
    """The loser is locked out, finds its plan stale, or finds nothing left to do; it depends on who is how quick."""
    for version in ("1", "2"):
        laptop.serve(version)
        racers = [laptop.start("apply", "--stage", "dev", "--yes") for _ in range(2)]
        said = [racer.communicate() for racer in racers]
        codes = sorted(racer.returncode for racer in racers)
        assert codes in ([0, 0], [0, 4], [0, 7]), said
        wrote = [r for r in laptop.records() if any(result.address.kind == "endpoint" for result in r.results)]
        assert len(wrote) == int(version)
        laptop.converge()
    assert laptop.greeting() == "Moin"
    laptop.check_single()


def test_of_two_clones_the_second_is_told_and_writes_nothing(team: Team, gate: Gate) -> None:
    team.ada.variables["GATE"] = str(gate.path)
    first = team.ada.start("apply", "--stage", "dev", "--yes")
    with gate.held():
        team.bo.serve("2")
        said = team.bo.apply(7)
        assert f"process {first.pid}" in said, said
        assert team.live() == {}
        assert "registered" not in team.bo.expect(0, "model", "list")
    first.communicate()
    assert first.returncode == 0
    assert team.live() == {HELLO: "1"}
    team.bo.apply()
    assert team.live() == {HELLO: "2"}
    team.bo.expect(0, "plan", "--stage", "dev", "--detailed-exitcode")
    team.check()


def test_the_lock_of_a_killed_holder_is_taken_over_at_once(team: Team, gate: Gate) -> None:
    team.ada.variables["GATE"] = str(gate.path)
    first = team.ada.start("apply", "--stage", "dev", "--yes")
    with gate.held():
        team.bo.apply(7)
        kill(first.pid)
        team.bo.apply()
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert team.live() == {HELLO: "1"}
    events = [(r.event, r.run) for r in team.bo.records(remote="origin")]
    ((begun, dead), (ended, closed), *rest) = events
    assert (begun, ended, closed) == (Event.STARTED, Event.INTERRUPTED, dead)
    assert [event for event, _ in rest] == [Event.STARTED, Event.FINISHED]
    team.bo.expect(0, "plan", "--stage", "dev", "--detailed-exitcode")
    team.ada.apply()
    team.check()


def test_two_clones_that_start_at_the_same_time_never_both_write(team: Team) -> None:
    for version in ("1", "2", "3"):
        for laptop in (team.ada, team.bo):
            laptop.serve(version)
        racers = [laptop.start("apply", "--stage", "dev", "--yes") for laptop in (team.ada, team.bo)]
        said = [racer.communicate() for racer in racers]
        codes = sorted(racer.returncode for racer in racers)
        assert codes in ([0, 0], [0, 4], [0, 7]), said
        assert team.live() == {HELLO: version}
        records = team.ada.records(remote="origin")
        assert len([r for r in records if r.results]) == int(version)
    for laptop in (team.ada, team.bo):
        laptop.apply()
        laptop.expect(0, "plan", "--stage", "dev", "--detailed-exitcode")
    team.check()


def test_a_remote_that_rejects_pushes_keeps_everything_from_being_written(team: Team) -> None:
    team.refuse()
    said = team.ada.apply(1)
    assert "the shop is closed" in said
    assert team.live() == {}
    assert "registered" not in team.ada.expect(0, "model", "list")
    team.accept()
    team.ada.apply()
    assert team.live() == {HELLO: "1"}
    team.check()


def test_a_remote_that_is_away_keeps_everything_from_being_written(team: Team) -> None:
    away = team.remote.rename(team.remote.with_name("away.git"))
    said = team.ada.apply(1)
    assert "origin" in said
    assert team.live() == {}
    assert "registered" not in team.ada.expect(0, "model", "list")
    away.rename(team.remote)
    team.ada.apply()
    assert team.live() == {HELLO: "1"}
    team.check()


def test_a_remote_that_begins_to_reject_while_an_apply_runs_is_told_by_the_next(team: Team, gate: Gate) -> None:
    """What was done cannot be written down; the command says so, and the next run closes the record."""
    team.ada.variables["GATE"] = str(gate.path)
    process = team.ada.start("apply", "--stage", "dev", "--yes")
    with gate.held():
        team.refuse()
    _, err = process.communicate()
    assert process.returncode == 1
    assert "the shop is closed" in err
    assert "Traceback" not in err
    assert team.live() == {HELLO: "1"}
    team.accept()
    team.bo.apply()
    team.bo.expect(0, "plan", "--stage", "dev", "--detailed-exitcode")
    assert HELLO in {str(address) for address in team.bo.state(remote="origin").applied}
    team.ada.apply()
    team.check()


def test_whose_lock_was_broken_writes_no_more(team: Team, gate: Gate) -> None:
    team.ada.variables["GATE"] = str(gate.path)
    process = team.ada.start("apply", "--stage", "dev", "--yes")
    with gate.held():
        team.bo.expect(0, "locks", "break", "--stage", "dev")
    _, err = process.communicate()
    assert process.returncode == 7, err
    assert "Traceback" not in err
    team.bo.apply()
    assert team.live() == {HELLO: "1"}
    team.check()

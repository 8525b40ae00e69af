"""The command line as a user meets it: real processes over a real repository, endpoint and ledger."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.e2e.laptop import MLOPS, Laptop, lines
from tests.e2e.processes import until

ADDRESS = "endpoint/hello@here"


@pytest.fixture
def applied(laptop: Laptop) -> Laptop:
    """A repository whose stage dev is applied."""
    laptop.apply()
    return laptop


def _json(laptop: Laptop, code: int, *arguments: str) -> dict[str, object]:
    done = laptop.run(*arguments, "--format", "json")
    assert done.returncode == code, done.stderr
    value: dict[str, object] = json.loads(done.stdout)
    return value


def test_results_go_to_stdout_and_talk_to_stderr(laptop: Laptop) -> None:
    planned = laptop.run("plan")
    assert planned.returncode == 0
    assert planned.stderr == ""
    assert f"create  {ADDRESS}: serves greeting:1" in planned.stdout
    done = laptop.run("apply", "--yes")
    assert done.stdout.splitlines()[-1] == "5 done."
    assert "to create" not in done.stdout
    assert f"create  {ADDRESS}" in done.stderr
    assert lines(done.stderr, f"s  {ADDRESS} create")
    silent = laptop.run("--quiet", "apply", "--yes")
    assert (silent.stdout, silent.stderr) == ("Nothing to do.\n", "")


def test_the_only_stage_needs_no_name_and_several_do(laptop: Laptop) -> None:
    computes = {"here": {"type": "local"}}
    laptop.write("mlops.yaml", {"project": "greetings", "computes": computes, "stages": {"dev": {}, "prod": {}}})
    done = laptop.run("plan")
    assert done.returncode == 64
    assert "mlops.yaml declares 2 stages: dev, prod." in done.stderr
    assert "export MLOPS_STAGE=dev" in done.stderr
    laptop.variables["MLOPS_STAGE"] = "dev"
    assert "Stage dev of greetings" in laptop.expect(0, "plan")
    unknown = laptop.run("plan", "--stage", "prd")
    assert unknown.returncode == 1
    assert 'Did you mean "prod"?' in unknown.stderr


def test_a_detailed_exit_code_tells_changes_from_none(laptop: Laptop) -> None:
    laptop.expect(2, "plan", "--detailed-exitcode")
    laptop.expect(0, "plan")
    laptop.apply()
    assert "No changes: " in laptop.expect(0, "plan", "--detailed-exitcode")


def test_a_plan_is_read_in_three_formats(laptop: Laptop) -> None:
    plan = _json(laptop, 0, "plan")
    assert plan["format"] == 1
    assert plan["stage"] == "dev"
    markdown = laptop.expect(0, "plan", "--format", "markdown")
    assert markdown.startswith("### `dev`: 5 to create")
    assert f"| create | `{ADDRESS}` | serves greeting:1 |" in markdown


def test_nobody_is_asked_where_there_is_no_terminal(laptop: Laptop) -> None:
    done = laptop.run("apply")
    assert done.returncode == 5
    assert done.stdout == ""
    assert done.stderr.startswith("error: Nobody to ask\n")
    assert "      mlops apply --stage STAGE --yes\n" in done.stderr
    for command in (["destroy"], ["rollback", "hello", "--now"]):
        assert laptop.run(*command).returncode == 5
    assert laptop.left() == []


def test_a_saved_plan_is_applied_once_and_exactly(laptop: Laptop, tmp_path: Path) -> None:
    file = str(tmp_path / "plan.json")
    said = laptop.run("plan", "--out", file)
    assert f"mlops apply {file}" in said.stderr
    laptop.expect(0, "apply", file)
    assert laptop.greeting() == "Hello"
    stale = laptop.run("apply", file)
    assert stale.returncode == 4
    laptop.serve("2")
    laptop.expect(0, "plan", "--out", file)
    laptop.serve("3")
    assert laptop.run("apply", file).returncode == 4
    assert laptop.greeting() == "Hello"


def test_a_plan_file_that_was_edited_is_refused(laptop: Laptop, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    laptop.expect(0, "plan", "--out", str(file))
    file.write_text(file.read_text().replace('"update"', '"create"').replace("greeting:1", "greeting:2"))
    done = laptop.run("apply", str(file))
    assert done.returncode == 1
    assert done.stdout == ""
    assert laptop.left() == []


def test_only_the_approved_effect_is_applied(laptop: Laptop) -> None:
    digests = _json(laptop, 0, "plan")["digests"]
    assert isinstance(digests, dict)
    laptop.serve("2")
    other = laptop.run("apply", "--effect", digests["effect"])
    assert other.returncode == 4
    assert "error: The effect is not the approved one" in other.stderr
    laptop.serve("1")
    laptop.expect(0, "apply", "--effect", digests["effect"])
    assert laptop.greeting() == "Hello"


def test_only_narrows_a_plan_to_an_object_and_what_it_needs(laptop: Laptop) -> None:
    shown = laptop.expect(0, "plan", "--only", "model/greeting:2")
    assert "create  model/greeting:2" in shown
    assert ADDRESS not in shown
    laptop.expect(0, "apply", "--yes", "--only", "model/greeting:2")
    assert "1 unchanged" in laptop.expect(0, "plan")
    unknown = laptop.run("plan", "--only", "model/greeting:22")
    assert 'Did you mean "model/greeting:2"?' in unknown.stderr


def test_a_snapshot_gives_the_plan_that_the_targets_give(applied: Laptop, tmp_path: Path) -> None:
    file = str(tmp_path / "snapshot.json")
    assert applied.run("snapshot", "--out", file).stdout == ""
    assert json.loads(applied.run("snapshot").stdout) == json.loads(Path(file).read_bytes())
    applied.serve("2")
    assert applied.run("plan", "--from-snapshot", file).stdout == applied.run("plan").stdout


def test_show_names_the_line_of_every_value(laptop: Laptop) -> None:
    shown = laptop.expect(0, "show", "hello")
    assert shown.startswith(f"{ADDRESS}\n")
    assert 'compute: "here"' in shown
    assert "endpoints/hello/dev.yaml:2:" in lines(shown, "compute:")[0]
    assert "endpoints/hello/endpoint.yaml:" in lines(shown, "deployments.main.model")[0]
    values = _json(laptop, 0, "show", "model/greeting:2")["values"]
    assert {"path": "path", "value": "2/greeting.json", "file": "models/greeting/2.yaml", "line": 2, "column": 11} in (
        values if isinstance(values, list) else []
    )


def test_validate_tells_all_problems_at_once(laptop: Laptop) -> None:
    assert laptop.run("validate").stdout.startswith("Everything is valid: 3 model versions, 1 environment version")
    laptop.write("endpoints/hello/dev.yaml", {"compute": "here", "trafic": {"main": 100}})
    laptop.write("models/greeting/4.yaml", {"path": "4/none.json", "sha256": "a" * 64})
    done = laptop.run("validate")
    assert done.returncode == 1
    assert done.stdout.startswith("2 problems found: ")
    assert "2 errors in all." in done.stderr
    assert "  --> endpoints/hello/dev.yaml:3:3\n" in done.stderr
    as_json = laptop.run("validate", "--format", "json")
    problems = [json.loads(line) for line in as_json.stderr.splitlines()]
    assert {p["file"] for p in problems} == {"endpoints/hello/dev.yaml", "models/greeting/4.yaml"}
    assert json.loads(as_json.stdout)["valid"] is False


def test_status_score_and_logs_meet_the_live_endpoint(applied: Laptop, tmp_path: Path) -> None:
    status = applied.expect(0, "status")
    assert "Healthy 1/1" in lines(status, ADDRESS)[0]
    assert "main: greeting:1 (100 %)" in lines(status, ADDRESS)[0]
    assert json.loads(applied.run("score", "hello").stdout) == {"well": True}
    request = tmp_path / "request.json"
    request.write_text('{"who": "Ada"}')
    for name in ("hello", "hello@here", ADDRESS):
        assert json.loads(applied.run("score", name, str(request)).stdout)["greeting"] == "Hello"
    done = subprocess.run(
        [MLOPS, "score", "hello", "-", "--format", "json", "--deployment", "main"],
        cwd=applied.root,
        input=b'{"who": "Ada"}',
        capture_output=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["body"]["greeting"]) == (200, "Hello")
    request.write_text("no json")
    failed = applied.run("score", "hello", str(request))
    assert failed.returncode == 1
    assert "answered with status 500" in failed.stderr
    until(lambda: "JSONDecodeError" in applied.expect(0, "logs", "hello", "--lines", "200"), "the error in the log")
    assert 'Did you mean "hello"?' in applied.run("score", "helo").stderr
    assert 'Did you mean "main"?' in applied.run("logs", "hello", "--deployment", "mian").stderr


def test_history_says_who_did_what_when_and_why(applied: Laptop) -> None:
    applied.serve("2")
    applied.expect(0, "apply", "--yes", "--reason", "Say it in Low German\nfinished 2020")
    shown = applied.expect(0, "history")
    newest, oldest = shown.split("\n\n")
    assert f"update {ADDRESS} done, serves main: greeting:2 (100 %)" in newest
    assert "why: Say it in Low German" in newest
    assert "Test User <test@example.com>" in newest
    assert f"create {ADDRESS} done, serves main: greeting:1 (100 %)" in oldest
    assert applied.expect(0, "history", "--limit", "1").strip() == newest
    assert "50 %" in applied.expect(0, "history", "--steps", ADDRESS)
    assert "has no record of model/greeting:1." in applied.expect(1, "history", "model/greeting:1")
    assert "create model/greeting:1 done" in applied.expect(0, "history", "--stage", "shared")


def test_an_auditor_asks_what_served_at_a_time(applied: Laptop) -> None:
    records = _json(applied, 0, "history")["records"]
    assert isinstance(records, list)
    before = records[0]["time"]
    applied.serve("2")
    applied.apply()
    past = _json(applied, 0, "history", "--at", before)
    objects = past["objects"]
    assert isinstance(objects, list)
    assert [item["serves"] for item in objects] == [["main: greeting:1 (100 %)"]]
    assert list(objects[0]["models"]) == ["greeting:1/greeting.json"]
    assert objects[0]["source"]["commit"] == records[0]["commit"]
    assert "main: greeting:2 (100 %)" in applied.expect(0, "history", "--at", "now", ADDRESS)
    early = applied.run("history", "--at", "2020-01-01")
    assert early.returncode == 1
    assert "no record at or before 2020-01-01 00:00:00Z" in early.stderr


def test_drift_is_named_recorded_and_put_back(applied: Laptop) -> None:
    assert applied.expect(0, "drift") == "No drift in stage dev.\n"
    applied.close()
    drifted = applied.run("drift", "--record")
    assert drifted.returncode == 3
    assert f"drift {ADDRESS}: gone from the target" in drifted.stdout
    assert f"{ADDRESS} drifted: gone from the target" in applied.expect(0, "history", "--limit", "1")
    applied.expect(3, "drift", "--record")
    assert len(lines(applied.expect(0, "history"), "observed")) == 1
    applied.converge()
    applied.expect(0, "drift", "--record")
    assert len(lines(applied.expect(0, "history"), "observed")) == 1


def test_a_rollback_is_a_patch_and_with_now_it_is_done_first(applied: Laptop) -> None:
    applied.serve("2")
    applied.commit("Say it in Low German")
    applied.apply()
    patch = applied.run("rollback", "hello")
    assert patch.returncode == 0
    assert applied.greeting() == "Moin"
    done = applied.run("rollback", "hello", "--now", "--yes", "--reason", "Nobody understood")
    assert done.returncode == 0
    assert applied.greeting() == "Hello"
    assert done.stdout == patch.stdout
    subprocess.run(["git", "apply"], input=done.stdout, text=True, cwd=applied.root, check=True)
    assert "No changes: " in applied.expect(0, "plan", "--detailed-exitcode")
    applied.serve("2")
    blocked = applied.expect(0, "plan")
    assert f"blocked {ADDRESS}: this goal was returned from before" in blocked
    assert f"mlops apply --stage dev --retry {ADDRESS}" in blocked
    applied.apply(5)
    applied.expect(0, "apply", "--yes", "--retry", ADDRESS)
    assert applied.greeting() == "Moin"


def test_what_waits_exits_with_6(laptop: Laptop) -> None:
    laptop.serve("9")
    assert f"wait    {ADDRESS}: not there yet: model/greeting:9" in laptop.expect(0, "plan")
    assert "waiting   wait" in laptop.apply(6)


def test_destroy_asks_for_everything_and_keeps_the_ledger(applied: Laptop) -> None:
    assert applied.run("destroy").returncode == 5
    applied.check_single()
    assert "1 done." in applied.expect(0, "destroy", "--yes", "--reason", "Moving out")
    applied.check_gone()
    assert "why: Moving out" in applied.expect(0, "history", "--limit", "1")


def test_locks_of_nobody(applied: Laptop) -> None:
    assert applied.expect(0, "locks") == "No stage is locked.\n"
    assert _json(applied, 0, "locks", "list")["locks"] == []
    done = applied.run("locks", "break")
    assert done.returncode == 1
    assert "Nobody holds the lock of stage dev." in done.stderr


def test_destroying_a_stage_that_was_never_applied_registers_nothing(laptop: Laptop) -> None:
    assert laptop.expect(0, "destroy", "--yes") == "Nothing to do.\n"
    assert laptop.records("shared") == laptop.records() == []

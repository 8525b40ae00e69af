"""What became of an apply."""

from __future__ import annotations

import json
from dataclasses import replace

from mlops.apply.result import Outcome, Result
from mlops.errors import Exit
from mlops.plan import Action
from mlops.reports.results import render_results, render_results_json, render_results_markdown
from mlops.resource import Address, Health, HealthState, Kind

GOOD = Result(
    Address(Kind.ENDPOINT, "good@near"),
    "dev",
    Action.CREATE,
    Outcome.DONE,
    outputs={"scoring_uri": "http://127.0.0.1:1/"},
)
BAD = Result(
    Address(Kind.ENDPOINT, "bad@near"),
    "dev",
    Action.UPDATE,
    Outcome.FAILED,
    "it did not start",
    health=Health(HealthState.FAILED, "exit 1", log=("Traceback", "ImportError: no\x1b[2Jjoblib")),
)


def test_what_went_wrong_comes_first_with_its_log() -> None:
    assert render_results((GOOD, BAD)) == (
        "failed    update endpoint/bad@near: it did not start\n"
        "          | Traceback\n"
        "          | ImportError: no\\x1b[2Jjoblib\n"
        "done      create endpoint/good@near: http://127.0.0.1:1/\n"
        "\n"
        "1 done, 1 failed.\n"
    )


def test_a_reason_of_several_lines_keeps_them() -> None:
    result = replace(BAD, reason="uv failed: it said\n  no solution \x1b[2J", health=None)
    assert render_results((result,)).splitlines()[:2] == [
        "failed    update endpoint/bad@near: uv failed: it said",
        "            no solution \\x1b[2J",
    ]


def test_nothing_to_do_is_said() -> None:
    assert render_results(()) == "Nothing to do.\n"
    assert render_results_markdown(()) == "### Applied: nothing to do\n"


def test_markdown_is_a_table() -> None:
    assert render_results_markdown((GOOD,)).splitlines()[4] == (
        "| done | create | `endpoint/good@near` | http:&#8203;//127.0.0.1:1/ |"
    )


def test_json_holds_every_result_and_the_exit_code() -> None:
    value = json.loads(render_results_json("dev", (GOOD, BAD), Exit.PARTIAL))
    assert (value["format"], value["kind"], value["stage"], value["exit_code"]) == (1, "results", "dev", 8)
    assert [result["outcome"] for result in value["results"]] == ["failed", "done"]

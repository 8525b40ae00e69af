"""The plan as a comment on a pull request."""

from __future__ import annotations

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from mlops.plan import Action, Change, Plan, Section
from mlops.reports.plan.markdown import LIMIT, render_plan_markdown
from mlops.resource import Address, Kind


def _rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ")]


def test_the_summary_is_the_heading(every_action: Plan) -> None:
    first = render_plan_markdown(every_action).splitlines()[0]
    assert first == (
        "### `dev`: 1 to create, 1 to update, 1 to replace, 1 to delete, 1 waiting, 2 blocked, 2 unchanged"
    )


def test_what_destroys_comes_first_in_one_table(every_action: Plan) -> None:
    actions = [row.split("|")[1].strip() for row in _rows(render_plan_markdown(every_action))[1:8]]
    assert actions == ["**delete**", "**replace**", "**blocked**", "**blocked**", "wait", "update", "create"]


def test_fields_and_names_of_what_stays_are_folded(every_action: Plan) -> None:
    text = render_plan_markdown(every_action)
    above, _, below = text.partition("<details>")
    assert "digits 1 → 2, canary 10 % → 50 % → 100 %" in above
    assert "deployments.blue.model.version" not in above
    assert "deployments.blue.model.version" in below
    assert "<details><summary>2 unchanged</summary>\n\n`endpoint/same@near` `endpoint/scaled@near`" in below


def test_it_parses_as_the_tables_that_it_means(every_action: Plan) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(render_plan_markdown(every_action))
    assert [token.type for token in tokens].count("table_open") == 3


def _many(every_action: Plan, count: int, action: Action, name: str = "e") -> Plan:
    model = next(c for c in every_action.changes if c.action is action)
    changes = tuple(replace(model, address=Address(Kind.ENDPOINT, f"{name}{n}@near")) for n in range(count))
    return replace(every_action, sections=(Section("dev", (*changes, *every_action.changes)),))


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("count", [100, 2000])
def test_a_comment_is_never_too_long_and_says_what_is_left_out(every_action: Plan, count: int, action: Action) -> None:
    plan = _many(every_action, count, action)
    text = render_plan_markdown(plan)
    assert len(text) <= LIMIT
    assert text.startswith("### `dev`: ")
    if "Left out for length" not in text:
        assert all(f"e{n}@near" in text for n in range(count))


def test_deletions_are_named_when_nothing_else_fits(every_action: Plan) -> None:
    plan = _many(every_action, 1500, Action.DELETE, "endpoint-with-a-long-name-")
    text = render_plan_markdown(plan)
    assert len(text) <= LIMIT
    assert all(f"endpoint-with-a-long-name-{n}@near, " in text for n in range(1500))
    assert "do not fit" not in text


@pytest.mark.parametrize("nasty", ["`|_", "\n", "\u202e", "<&>", "x" * 300])
@pytest.mark.parametrize("count", [1, 500, 4000])
def test_nasty_names_do_not_make_it_longer(every_action: Plan, nasty: str, count: int) -> None:
    plain, hostile = (_many(every_action, count, Action.DELETE, name).changes for name in ("under_scored", nasty))
    text = render_plan_markdown(replace(every_action, sections=(Section("dev", (*hostile, *plain)),)))
    assert len(text) <= LIMIT


def test_deletions_that_cannot_fit_are_counted_at_the_top(every_action: Plan) -> None:
    plan = _many(every_action, 9000, Action.DELETE)
    text = render_plan_markdown(plan)
    assert len(text) <= LIMIT
    assert "of 9,002 deletions do not fit here: read the whole plan.**" in "\n".join(text.splitlines()[:6])


def test_changes_with_many_fields_leave_room_for_every_row(every_action: Plan) -> None:
    wide = tuple(_widened(c, 400) for c in _many(every_action, 300, Action.UPDATE).changes)
    text = render_plan_markdown(replace(every_action, sections=(Section("dev", wide),)))
    assert len(text) <= LIMIT
    assert all(f"| update | `endpoint/e{n}@near` |" in text for n in range(300))
    assert "folded details" in text


def _widened(change: Change, count: int) -> Change:
    return replace(change, fields=change.fields * count)


def test_hostile_names_stay_in_their_cells(every_action: Plan) -> None:
    name = "x|y`z\n| **delete** | `endpoint/prod` | <script>alert(1)</script> @octocat #1 ![](http://evil) </details>"
    hostile = tuple(
        replace(
            c,
            address=Address(Kind.ENDPOINT, name),
            reason=name,
            fields=tuple(replace(f, path=name, live=name, reason=name) for f in c.fields),
        )
        for c in every_action.changes
    )
    text = render_plan_markdown(replace(every_action, project=name, stage=name, sections=(Section("dev", hostile),)))
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    kinds = [token.type for token in tokens]
    rows = 1 + len([c for c in hostile if c.action is not Action.NONE])
    assert kinds[kinds.index("table_open") : kinds.index("table_close")].count("tr_open") == rows
    inner = {child.type for token in tokens for child in token.children or ()}
    assert not {"image", "link_open"} & inner
    assert "<script" not in text
    assert text.count("</details>") == text.count("<details>")

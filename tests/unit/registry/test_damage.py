"""Truncated, flipped, missing and foreign files: seen at once or by `verify`, and made good by a rebuild."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.registry.bench import Bench

from mlops.drivers.registry.rebuild import rebuild
from mlops.drivers.registry.verify import verify
from mlops.errors import TargetError
from mlops.resource import Resource


def summary(error: pytest.ExceptionInfo[TargetError]) -> str:
    return error.value.diagnostics[0].summary


@pytest.fixture
def models(bench: Bench) -> list[Resource]:
    """Fifty registered versions, one edited and one deleted since; closed cleanly."""
    made = [bench.model(f"fraud:{n}", content=b"%d" % n, tags={"n": str(n)}) for n in range(50)]
    driver = bench.put(*made)
    made[7] = bench.model("fraud:7", content=b"7", tags={"edited": "yes"})
    driver.put(made[7], bench.stamp(made[7]))
    driver.delete(made[49].address)
    driver.close()
    return made[:49]


def truncated_to_nothing(index: Path) -> None:
    index.write_bytes(b"")


def truncated_in_the_middle(index: Path) -> None:
    with index.open("r+b") as stream:
        stream.truncate(index.stat().st_size // 2 // 4096 * 4096)


def truncated_by_a_byte(index: Path) -> None:
    with index.open("r+b") as stream:
        stream.truncate(index.stat().st_size - 1)


def overwritten(index: Path) -> None:
    index.write_bytes(b"this is not a database, whatever its name says" * 200)


def missing(index: Path) -> None:
    index.unlink()


def page_of_noise(index: Path) -> None:
    content = bytearray(index.read_bytes())
    content[4096:8192] = bytes(range(256)) * 16
    index.write_bytes(content)


DAMAGE = [truncated_to_nothing, truncated_in_the_middle, truncated_by_a_byte, overwritten, missing, page_of_noise]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_damaged_index_is_said_to_be_and_rebuilt_whole(
    bench: Bench, models: list[Resource], damage: Callable[[Path], None]
) -> None:
    before = bench.seen()
    damage(bench.folder / "index.sqlite3")
    with pytest.raises(TargetError) as error:
        bench.seen()
    assert summary(error) == "Registry index is damaged"
    assert error.value.diagnostics[0].command == "mlops model verify --rebuild"
    new = bench.model("fraud:60", content=b"new")
    with contextlib.closing(bench.driver()) as driver, pytest.raises(TargetError) as error:
        driver.put(new, bench.stamp(new))
    assert summary(error) == "Registry index is damaged"
    assert verify(bench.driver()).problems
    outcome = rebuild(bench.driver(), models, "project")
    assert outcome.versions == 49
    assert outcome.from_git == ()
    assert bench.seen() == before
    assert verify(bench.driver()).problems == ()
    other = bench.model("fraud:49", content=b"other")
    with pytest.raises(TargetError) as error:
        bench.put(other)
    assert summary(error) == "Version number was used before"


@pytest.mark.usefixtures("models")
def test_a_rebuild_of_a_healthy_registry_changes_nothing(bench: Bench) -> None:
    before = bench.seen()
    rebuild(bench.driver(), [], "project")
    rebuild(bench.driver(), [], "project")
    assert bench.seen() == before
    assert verify(bench.driver()).problems == ()


def test_without_index_and_journal_git_tells_what_is_registered(bench: Bench, models: list[Resource]) -> None:
    before = bench.seen()
    (bench.folder / "index.sqlite3").unlink()
    (bench.folder / "journal.jsonl").unlink()
    outcome = rebuild(bench.driver(), models, "project")
    assert len(outcome.from_git) == 49
    seen = bench.seen()
    assert {a: (o.spec, o.stamp) for a, o in seen.items()} == {a: (o.spec, o.stamp) for a, o in before.items()}


def test_what_was_never_applied_is_not_registered_by_a_rebuild(bench: Bench, models: list[Resource]) -> None:
    waiting = bench.model("fraud:60", content=b"not applied")
    (bench.folder / "index.sqlite3").unlink()
    assert rebuild(bench.driver(), [*models, waiting], "project").versions == 49
    assert "model/fraud:60" not in bench.seen()


def test_a_damaged_journal_line_is_left_out_and_the_rest_is_read(bench: Bench, models: list[Resource]) -> None:
    journal = bench.folder / "journal.jsonl"
    content = journal.read_bytes()
    place = content.index(b"model/fraud:3")
    journal.write_bytes(content[:place] + b"M" + content[place + 1 :])
    found = verify(bench.driver())
    assert any("lines of the journal" in problem.detail for problem in found.problems)
    before = bench.seen()
    (bench.folder / "index.sqlite3").unlink()
    outcome = rebuild(bench.driver(), models, "project")
    assert outcome.from_git == ("model/fraud:3",)
    assert bench.seen().keys() == before.keys()


def test_a_journal_that_was_cut_off_goes_on_with_a_line_of_its_own(bench: Bench, models: list[Resource]) -> None:
    journal = bench.folder / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    bench.put(bench.model("fraud:60", content=b"new")).close()
    before = bench.seen()
    (bench.folder / "index.sqlite3").unlink()
    rebuild(bench.driver(), models, "project")
    assert bench.seen().keys() - {"model/fraud:49"} == before.keys()


def test_a_lost_log_is_found_and_made_good(bench: Bench) -> None:
    """SQLite cannot know of commits that were in a log which is gone; the journal does."""
    driver = bench.put(bench.model("fraud:1"), bench.model("fraud:2", content=b"2"))
    copy = bench.root.parent / "copy"
    shutil.copytree(bench.folder, copy)  # as a power loss leaves it: with a log beside the index
    driver.close()
    shutil.rmtree(bench.folder)
    shutil.copytree(copy, bench.folder)
    log = bench.folder / "index.sqlite3-wal"
    assert log.stat().st_size
    log.write_bytes(b"")
    (bench.folder / "index.sqlite3-shm").unlink()
    assert bench.seen() == {}
    assert {p.summary for p in verify(bench.driver()).problems} == {"Registry disagrees with itself"}
    rebuild(bench.driver(), [], "project")
    assert list(bench.seen()) == ["model/fraud:1", "model/fraud:2"]


def test_a_flipped_bit_in_content_is_found_and_content_restored_from_the_repository(bench: Bench) -> None:
    models = [bench.model("fraud:1"), bench.model("fraud:2", content=b"2")]
    bench.put(*models).close()
    blob = bench.blob(b"2")
    blob.chmod(0o644)
    blob.write_bytes(b"3")
    found = verify(bench.driver())
    assert [p.summary for p in found.problems] == ["Content is damaged"]
    assert found.blobs == 2
    outcome = rebuild(bench.driver(), models, "project")
    assert len(outcome.restored) == 1
    assert [path.read_bytes() for path in outcome.set_aside if path.name.startswith(models[1].artifacts[0].sha256)] == [
        b"3"
    ]
    assert verify(bench.driver()).problems == ()
    assert blob.read_bytes() == b"2"


def test_content_that_git_lacks_too_is_said_to_be_missing(bench: Bench) -> None:
    model = bench.model()
    bench.put(model).close()
    bench.blob().unlink()
    (bench.root / model.artifacts[0].source).unlink()
    rebuild(bench.driver(), [model], "project")
    assert [p.summary for p in verify(bench.driver()).problems] == ["Content is missing"]


def test_a_row_that_was_edited_by_hand_is_found(bench: Bench) -> None:
    bench.put(bench.model(metrics={"auc": 0.5})).close()
    with sqlite3.connect(bench.folder / "index.sqlite3") as connection:
        connection.execute("UPDATE version SET spec = replace(spec, '0.5', '0.9')")
    connection.close()
    assert {p.summary for p in verify(bench.driver()).problems} == {"Registry disagrees with itself"}
    rebuild(bench.driver(), [], "project")
    assert bench.seen()["model/fraud:1"].spec["metrics"] == {"auc": 0.5}


def test_a_row_that_is_no_json_is_damage(bench: Bench) -> None:
    bench.put(bench.model()).close()
    with sqlite3.connect(bench.folder / "index.sqlite3") as connection:
        connection.execute("UPDATE version SET spec = '{'")
    connection.close()
    with pytest.raises(TargetError) as error:
        bench.seen()
    assert "model/fraud:1" in error.value.diagnostics[0].detail


def test_a_newer_format_is_neither_read_nor_rebuilt(bench: Bench) -> None:
    bench.put(bench.model()).close()
    with sqlite3.connect(bench.folder / "index.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    for attempt in (bench.seen, lambda: verify(bench.driver()), lambda: rebuild(bench.driver(), [], "project")):
        with pytest.raises(TargetError) as error:
            attempt()
        assert summary(error) == "Registry index is of a newer format"


def test_nobody_rebuilds_while_somebody_writes(bench: Bench) -> None:
    driver = bench.put(bench.model())
    with pytest.raises(TargetError) as error:
        rebuild(bench.driver(), [], "project")
    assert summary(error) == "Registry is busy"
    driver.close()
    rebuild(bench.driver(), [], "project")


def test_verify_of_a_registry_that_is_not_there_finds_nothing(bench: Bench) -> None:
    found = verify(bench.driver())
    assert (found.versions, found.blobs, found.problems) == (0, 0, ())
    assert list(bench.root.iterdir()) == []

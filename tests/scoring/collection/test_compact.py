"""Events rolled into Parquet: every value, no row lost or twice, whatever happens on the way."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.scoring.collection.stores import roll
from tests.scoring.environments import make_environment, run_in

from mlops_scoring.collection.events import Envelope, Event

DAY = Path("svc/model/1/inputs/2026/01/31")


def write_events(store: Path, data: Iterable[object], name: str = "20260131T05-a-1", tail: bytes = b"") -> Path:
    """A file of events with these data, one event each, and their correlation ids from 0."""
    envelope = Envelope(("svc", "blue-1"), {"modelversion": "1"})
    path = store / DAY / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        envelope.line(Event("model_inputs", item, 1_700_000_000.5, {"correlationid": str(number)}))
        for number, item in enumerate(data)
    ]
    path.write_bytes(b"".join(lines) + tail)
    return path


def run(python: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command."""
    command = [str(python), "-P", "-m", "mlops_scoring.collection", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")


def compact(python: Path, store: Path, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Roll up a store; the report."""
    done = run(python, "compact", store, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def decoded(table: Any, name: str) -> tuple[str, list[Any]]:  # noqa: ANN401 - JSON
    """Type and values of one column, decoded where it is JSON."""
    values = [row[name] for row in table["rows"]]
    if name in table["json"]:
        return "json", [None if value is None else json.loads(value) for value in values]
    return table["types"][name], values


def test_rows_come_back_with_their_events(rolling_python: Path, store: Path) -> None:
    path = write_events(store, [[{"a": 1, "b": "x"}, {"a": 2, "b": None}], [{"a": 3, "c": 0.1}]])
    report, (table,) = roll(rolling_python, store)
    assert report == {"files": 1, "rows": 3, "torn": 0, "open": 0}
    assert not path.exists()
    assert table["name"] == str(DAY / "20260131T05-a-1.parquet")
    kept = [{name: row[name] for name in ("_correlationid", "_row", "a", "b", "c")} for row in table["rows"]]
    assert kept == [
        {"_correlationid": "0", "_row": 0, "a": 1, "b": "x", "c": None},
        {"_correlationid": "0", "_row": 1, "a": 2, "b": None, "c": None},
        {"_correlationid": "1", "_row": 0, "a": 3, "b": None, "c": 0.1},
    ]
    assert {row["_time"] for row in table["rows"]} == {"2023-11-14T22:13:20.500000+00:00"}
    assert table["types"]["_time"] == "timestamp[us, tz=UTC]"
    assert table["rows"][0]["_source"] == "/svc/blue-1"
    assert table["rows"][0]["_specversion"] == "1.0"
    mode = (store / table["name"]).stat().st_mode & 0o777
    assert mode == 0o600


def test_no_two_fields_become_one_column(rolling_python: Path, store: Path) -> None:
    """What has been rolled up is removed, so a value without a column would be lost."""
    names = ["a?", "a\ud800", "a\udfff", "a\\ud800", '"a\\ud800"', '_"a\\ud800"', "_id", "__id", "_\ud800", "id"]
    record = {name: number for number, name in enumerate(names)}
    write_events(store, [[record]])
    report, (table,) = roll(rolling_python, store)
    assert report["rows"] == 1
    own = {name: value for name, value in table["rows"][0].items() if table["types"][name] == "int64"}
    assert sorted(own.values()) == sorted([*record.values(), 0])  # and `_row`
    assert {own["a?"], own['_"a\\ud800"'], own["__id"], own["id"]} == {0, 1, 6, 9}


COLUMNS: dict[str, tuple[list[Any], str]] = {
    "whole": ([1, -(2**63), 2**63 - 1, None], "int64"),
    "too large": ([1, 2**63], "json"),
    "numbers": ([1, 0.1, -1e300, None], "double"),
    "numbers that a double would change": ([2**53 + 1, 0.5], "json"),
    "numbers that a double would change, later": ([0.5, 2**53 + 1], "json"),
    "texts": (["", "ü\0\n", None], "string"),
    "a lone surrogate": (["\ud800", "a"], "json"),
    "truth": ([True, False, None], "bool"),
    "truth and numbers": ([True, 1], "json"),
    "texts and numbers": (["1", 1, 1.5], "json"),
    "nothing": ([None, None], "null"),
    "lists": ([[1.5, None], [], None, [2]], "list<element: double>"),
    "lists of texts": ([["a"], ["b", "c"]], "list<element: string>"),
    "empty lists": ([[], []], "list<element: null>"),
    "lists of lists": ([[[1]], [[2]]], "json"),
    "lists and values": ([[1], 1], "json"),
    "objects": ([{"a": {"b": [1]}}, None], "json"),
}


def test_each_kind_of_value_comes_back_exactly(rolling_python: Path, store: Path) -> None:
    for name, (values, _) in COLUMNS.items():
        write_events(store, [[{"x": value}] for value in values], name.replace(" ", "-"))
    _, tables = roll(rolling_python, store)
    found = {table["name"]: decoded(table, "x") for table in tables}
    assert found == {
        f"{DAY}/{name.replace(' ', '-')}.parquet": (expected, values) for name, (values, expected) in COLUMNS.items()
    }


def test_names_of_columns_cannot_be_confused(rolling_python: Path, store: Path) -> None:
    record = {"_id": 1, "__id": 2, "id": 3, "_row": 4, "": 5, "data": 6, "_data": 7, "time": 8, "_time": "x"}
    write_events(store, [[record]])
    _, (table,) = roll(rolling_python, store)
    row = table["rows"][0]
    assert {name.removeprefix("_"): row[name] for name in row if name.startswith("__")} == {
        "_id": 1,
        "__id": 2,
        "_row": 4,
        "_data": 7,
        "_time": "x",
    }
    assert (row["id"], row[""], row["data"], row["time"], row["_row"]) == (3, 5, 6, 8, 0)


def test_data_without_columns_is_kept_as_text(rolling_python: Path, store: Path) -> None:
    data: list[Any] = [{"whole": ["body"]}, "text", None, [], [1, 2], 7, [{"a": 1}]]
    wide = [[{f"c{number}-{n}": n for n in range(100)}] for number in range(30)]
    write_events(store, data, "1")
    write_events(store, wide, "2")
    report, (mixed, text) = roll(rolling_python, store)
    assert report["rows"] == 37
    read = [[{"a": row["a"]}] if row["_row"] is not None else json.loads(row["_data"]) for row in mixed["rows"]]
    assert read == data
    assert len(text["types"]) < 20
    assert [json.loads(row["_data"]) for row in text["rows"]] == wide


def test_files_that_drift_apart_are_read_together(rolling_python: Path, store: Path) -> None:
    """Columns that come, go and change their type between files do not hinder reading all of them at once."""
    write_events(store, [[{"a": 1, "b": "x"}]], "1")
    write_events(store, [[{"a": 0.5}]], "2")
    write_events(store, [[{"a": None, "c": True}]], "3")
    program = """
import json, sys
from pathlib import Path
import pyarrow as pa, pyarrow.dataset as ds, pyarrow.parquet as pq
from mlops_scoring.collection.compact import compact
compact(Path(sys.argv[1]))
files = sorted(Path(sys.argv[1]).rglob("*.parquet"))
schema = pa.unify_schemas([pq.read_schema(file) for file in files], promote_options="permissive")
print(json.dumps(ds.dataset(files, schema=schema).to_table(columns=["a", "b", "c"]).to_pylist()))
"""
    assert run_in(rolling_python, program, str(store)) == [
        {"a": 1.0, "b": "x", "c": None},
        {"a": 0.5, "b": None, "c": None},
        {"a": None, "b": None, "c": True},
    ]


def test_torn_and_foreign_lines_are_skipped_and_counted(rolling_python: Path, store: Path) -> None:
    foreign = b'{"specversion": "1.0", "time": "yesterday", "data": [{"a": 9}]}\n'
    write_events(store, [[{"a": 1}]], tail=b"garbage\n" + foreign + b'{"specversion": "1.0", "da')
    report, (table,) = roll(rolling_python, store)
    assert report == {"files": 1, "rows": 2, "torn": 2, "open": 0}
    assert decoded(table, "a") == ("int64", [1, 9])
    assert table["rows"][1]["_time"] is None


def test_only_what_is_closed_and_old_enough_is_rolled_up(rolling_python: Path, store: Path) -> None:
    hot, empty, old, young = (write_events(store, [[{"a": name}]] * (name != "2"), name) for name in "1234")
    empty.write_bytes(b"torn")
    for path in (hot, empty, old):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    with hot.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        report = compact(rolling_python, store, "--before", "2024-01-01T00:00:00Z")
    assert report == {"files": 2, "rows": 1, "torn": 1, "open": 2}
    assert sorted(path.name for path in (store / DAY).iterdir()) == ["1.jsonl", "3.parquet", "4.jsonl"]
    assert young.exists()


def test_what_a_killed_run_left_is_made_again_and_never_twice(rolling_python: Path, store: Path) -> None:
    path = write_events(store, [[{"a": number}] for number in range(100)])
    content = path.read_bytes()
    roll(rolling_python, store)
    path.write_bytes(content)  # as if it had been killed between the rename and the removal
    path.with_suffix(".parquet.unfinished").write_bytes(b"half")
    report, (table,) = roll(rolling_python, store)
    assert report["rows"] == 100
    assert [row["a"] for row in table["rows"]] == list(range(100))
    assert [file.name for file in (store / DAY).iterdir()] == ["20260131T05-a-1.parquet"]


KILLED = """
import json, os, shutil, signal, sys
from pathlib import Path
import pyarrow.parquet as pq
from mlops_scoring.collection.compact import compact

def die_at(step, store):
    steps = iter(range(step))
    def hook(event, arguments):
        if event in {"open", "os.rename", "os.remove"} and str(arguments[0]).startswith(str(store)):
            if next(steps, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

root, ends, stores = Path(sys.argv[1]), [], []
for step in range(20):
    stores.append(root.with_name(f"store-{step}"))
    shutil.copytree(root, stores[-1])
    child = os.fork()
    if not child:
        die_at(step, stores[-1])
        compact(stores[-1])
        os._exit(0)
    ends.append(os.waitpid(child, 0)[1])
tables = []
for store in stores:
    compact(store)
    files = sorted(path for path in store.rglob("*") if path.is_file())
    tables.append([[file.name, pq.ParquetFile(file).read().column("n").to_pylist()] for file in files])
print(json.dumps([ends, tables]))
"""
"""Rolls up the same store again and again, killed one step later each time; then rolls up what was left."""


def test_runs_that_are_killed_at_any_step_lose_and_double_nothing(rolling_python: Path, store: Path) -> None:
    for number in range(2):
        write_events(store, [[{"n": number * 100 + row}] for row in range(50)], str(number))
    ends, found = run_in(rolling_python, KILLED, str(store))
    killed = [end for end in ends if end == signal.SIGKILL]
    assert 8 <= len(killed) < len(ends), "every step of two files, and at least one run to its end"
    expected = [[f"{number}.parquet", [number * 100 + row for row in range(50)]] for number in range(2)]
    assert all(tables == expected for tables in found), found


def test_two_runs_at_once_do_the_work_once(rolling_python: Path, store: Path) -> None:
    for number in range(6):
        write_events(store, [[{"n": number * 1000 + row}] for row in range(500)], str(number))
    command = [str(rolling_python), "-P", "-m", "mlops_scoring.collection", "compact", str(store)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    reports = [json.loads(process.communicate()[0]) for process in runs]
    assert [process.returncode for process in runs] == [0, 0]
    assert sum(report["files"] for report in reports) == 6
    _, tables = roll(rolling_python, store)
    numbers = [row["n"] for table in tables for row in table["rows"]]
    assert sorted(numbers) == [number * 1000 + row for number in range(6) for row in range(500)]


def test_without_pyarrow_it_says_what_to_install(store: Path, test_cache: Path) -> None:
    write_events(store, [[{"a": 1}]])
    done = run(make_environment(test_cache, ()), "compact", store)
    assert done.returncode == 1
    assert "pip install 'mlops-scoring[collection]'" in done.stderr
    assert len(list(store.rglob("*.jsonl"))) == 1


# Labels


def label(store: Path, file: Path) -> subprocess.CompletedProcess[str]:
    place = ("--service", "svc", "--model", "model", "--version", "1")
    return run(Path(sys.executable), "label", store, *place, "--file", file)


def test_labels_lie_beside_inputs_and_join_by_correlation_id(rolling_python: Path, store: Path, tmp_path: Path) -> None:
    write_events(store, [[{"a": 1}, {"a": 2}], [{"a": 3}]])
    file = tmp_path / "labels.jsonl"
    file.write_text(
        '{"correlationid": "1", "data": [{"fraud": true}]}\n\n'
        '{"correlationid": "0", "data": [{"fraud": false}, {"fraud": true}]}\n',
        encoding="utf-8",
    )
    done = label(store, file)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["labels"] == 2
    assert Path(report["file"]).stat().st_mode & 0o777 == 0o600
    assert Path(report["file"]).parent.parent.parent.parent == store / "svc/model/1/labels"
    program = """
import json, sys
from pathlib import Path
import pyarrow.parquet as pq
from mlops_scoring.collection.compact import compact
compact(Path(sys.argv[1]))
def read(name):
    (file,) = Path(sys.argv[1]).glob(f"*/*/*/{name}/*/*/*/*.parquet")
    return pq.ParquetFile(file).read()
joined = read("inputs").join(read("labels").select(["_correlationid", "_row", "fraud"]), ["_correlationid", "_row"])
print(json.dumps(sorted(joined.select(["a", "fraud"]).to_pylist(), key=lambda row: row["a"])))
"""
    expected = [{"a": 1, "fraud": False}, {"a": 2, "fraud": True}, {"a": 3, "fraud": True}]
    assert run_in(rolling_python, program, str(store)) == expected


def test_labels_with_a_mistake_are_all_refused(store: Path, tmp_path: Path) -> None:
    store.mkdir()
    file = tmp_path / "labels.jsonl"
    lines = ['{"correlationid": "1", "data": [{"a": 1}]}', '{"correlationid": "", "data": {}}', "[]", "{", '{"x": 1}']
    file.write_text("\n".join(lines), encoding="utf-8")
    done = label(store, file)
    assert done.returncode == 2
    for problem in ("line 2.correlationid", "line 2.data", "line 3", "line 4", "line 5.x"):
        assert problem in done.stderr
    assert list(store.rglob("*")) == []

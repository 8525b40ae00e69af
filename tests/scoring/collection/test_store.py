"""Files as they are written: private, locked, rolled with the period, whole whatever the disk does."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.scoring.collection import stores

from mlops_scoring.collection.closed import Torn, event_files, held, parse_events, repair
from mlops_scoring.collection.figures import Figures
from mlops_scoring.collection.files import HotFile
from mlops_scoring.collection.keys import UnusableKey, store_key
from mlops_scoring.collection.layout import Place, period_of
from mlops_scoring.collection.store import Store

PLACE = Place("svc", "model", "1")


@pytest.fixture
def figures() -> Figures:
    return Figures()


def open_store(folder: Path, figures: Figures) -> Store:
    return Store(folder, PLACE, "Hour", figures)


def refusal_of(writing: Store) -> OSError | None:
    return writing.refusal


def line(number: int) -> bytes:
    return json.dumps({"specversion": "1.0", "correlationid": str(number), "data": number}).encode() + b"\n"


def test_the_path_is_service_model_version_designation_and_date(store: Path, figures: Figures) -> None:
    before = datetime.now(UTC)
    writing = open_store(store, figures)
    writing.append("inputs", [line(1)])
    (path,) = store.rglob("*.jsonl")
    folders = {f"svc/model/1/inputs/{moment:%Y/%m/%d}/{moment:%Y%m%dT%H}" for moment in (before, datetime.now(UTC))}
    assert f"{path.parent.relative_to(store)}/{path.name.partition('-')[0]}" in folders
    writing.close()
    assert path.read_bytes() == line(1)


def test_files_and_folders_are_the_owner_s_alone(store: Path, figures: Figures) -> None:
    writing = open_store(store, figures)
    writing.append("inputs", [line(1)])
    store_key(store)
    for path in [store, *store.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    writing.close()


def test_one_file_a_designation_and_period_and_process(store: Path, figures: Figures) -> None:
    first, second = open_store(store, figures), open_store(store, Figures())
    for number in range(5):
        first.append("inputs", [line(number)])
        first.append("outputs", [line(number)])
        second.append("inputs", [line(number)])
    assert len(stores.event_files(store, "inputs")) <= 4  # an hour may have begun meanwhile
    assert 1 <= len(stores.event_files(store, "outputs")) <= 2
    first.close()
    second.close()
    assert figures.snapshot().collected == {"inputs": 5, "outputs": 5}
    assert figures.snapshot().written == 5 * 2 * len(line(1))


def test_a_file_is_locked_while_it_is_open_and_free_after(store: Path, figures: Figures) -> None:
    writing = open_store(store, figures)
    writing.append("inputs", [line(1)])
    (path,) = store.rglob("*.jsonl")
    with held(path) as stream:
        assert stream is None
    writing.close()
    with held(path) as stream:
        assert stream is not None


def test_a_file_whose_period_is_over_is_closed_though_nothing_comes(store: Path, figures: Figures) -> None:
    period = period_of(datetime.now(UTC) - timedelta(hours=2), "Hour")
    writing = open_store(store, figures)
    writing.append("inputs", [line(1)])
    (path,) = store.rglob("*.jsonl")
    writing._files["inputs"].period = period  # noqa: SLF001 - an hour is too long to wait for
    writing.tend()
    with held(path) as stream:
        assert stream is not None
    writing.append("inputs", [line(2)])
    assert len(list(store.rglob("*.jsonl"))) == 2
    writing.close()


def test_a_removed_folder_is_made_again(store: Path, figures: Figures) -> None:
    writing = open_store(store, figures)
    writing.append("inputs", [line(1)])
    shutil.rmtree(store)
    writing.append("inputs", [line(2)])
    writing.close()
    assert stores.events(store, "inputs") == [json.loads(line(2))]
    assert figures.snapshot().dropped["disk"] == 0


def test_a_folder_that_cannot_be_made_is_counted_and_tried_again(store: Path, figures: Figures) -> None:
    store.write_text("a file", encoding="ascii")
    writing = open_store(store, figures)
    writing.append("inputs", [line(1), line(2)])
    assert figures.snapshot().dropped["disk"] == 2
    assert isinstance(refusal_of(writing), OSError)
    store.unlink()
    writing.append("inputs", [line(3)])
    assert refusal_of(writing) is None
    assert figures.snapshot().collected == {"inputs": 1}
    writing.close()


FULL = """
import json, resource, signal, sys
from pathlib import Path
from mlops_scoring.collection.figures import Figures
from mlops_scoring.collection.layout import Place
from mlops_scoring.collection.store import Store

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
figures = Figures()
store = Store(Path(sys.argv[1]), Place("svc", "model", "1"), "Year", figures)
lines = [json.dumps({"specversion": "1.0", "n": n}).encode() + b"\\n" for n in range(1000)]
store.append("inputs", lines[:100])
room = sum(map(len, lines[:100])) + sum(map(len, lines[:50])) + 7
resource.setrlimit(resource.RLIMIT_FSIZE, (room, -1))
store.append("inputs", lines[100:200])
full = figures.snapshot()
store.append("inputs", lines[200:300])
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
store.append("inputs", lines[300:400])
store.close()
last = figures.snapshot()
print(json.dumps([full.collected["inputs"], full.dropped["disk"], last.collected["inputs"], last.dropped["disk"]]))
"""
"""Writes while its files may not grow any more, and again when they may."""


def test_a_full_disk_loses_only_what_has_no_room_and_leaves_whole_lines(store: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(store)], check=True, capture_output=True, text=True)
    at_full, lost, written, lost_in_all = json.loads(done.stdout)
    assert 140 < at_full < 151
    assert at_full + lost == 200
    assert written + lost_in_all == 400
    numbers = [event["n"] for event in stores.events(store, "inputs")]
    assert len(numbers) == written == len(set(numbers))
    assert numbers[:at_full] == list(range(at_full))
    assert set(range(300, 400)) <= set(numbers)


def test_an_empty_file_is_not_left(store: Path) -> None:
    period = period_of(datetime.now(UTC), "Hour")
    file = HotFile(store, "x", period)
    assert file.path.exists()
    file.close()
    assert list(store.iterdir()) == []


def test_a_name_is_never_taken_twice(store: Path) -> None:
    period = period_of(datetime.now(UTC), "Hour")
    store.mkdir()
    (store / "x.jsonl.new").symlink_to(store / "elsewhere")
    with pytest.raises(FileExistsError):
        HotFile(store, "x", period)
    assert not (store / "elsewhere").exists()


# What a killed process leaves behind


@pytest.mark.parametrize(
    ("content", "mended"),
    [
        (line(1) + b'{"specversion": "1.', line(1)),
        (b'{"specversion"', b""),
        (line(1) + b"\0" * 200_000, line(1)),
        (line(1), line(1)),
        (b"", b""),
        (line(1) + b"garbage\n" + b"x", line(1) + b"garbage\n"),
    ],
)
def test_a_torn_last_line_is_cut_off(store: Path, content: bytes, mended: bytes) -> None:
    store.mkdir()
    (store / "a.jsonl").write_bytes(content)
    assert repair(store) == (content != mended)
    assert (store / "a.jsonl").read_bytes() == mended
    assert repair(store) == 0


def test_a_file_that_is_being_written_is_not_mended(store: Path) -> None:
    store.mkdir()
    path = store / "a.jsonl"
    path.write_bytes(line(1) + b"half")
    with path.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert repair(store) == 0
    assert path.read_bytes().endswith(b"half")


GONE = """
import sys
from pathlib import Path
from mlops_scoring.collection.closed import held

path = Path(sys.argv[1])
sys.addaudithook(lambda event, _: path.unlink(missing_ok=True) if event == "fcntl.flock" else None)
with held(path) as stream:
    print(stream is None)
"""
"""Opens a file that somebody else has rolled up before the lock is had."""


def test_a_file_that_is_rolled_up_meanwhile_is_not_held(store: Path) -> None:
    store.mkdir()
    path = store / "a.jsonl"
    path.write_bytes(line(1))
    done = subprocess.run([sys.executable, "-c", GONE, str(path)], check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"


def test_torn_lines_are_named_and_the_others_read(store: Path) -> None:
    store.mkdir()
    path = store / "a.jsonl"
    path.write_bytes(line(1) + b"{\n" + line(2) + b"[]\n" + b'{"specversion": "0.3"}\n' + b"[" * 100_000 + b"\n")
    with path.open("rb") as stream:
        assert list(parse_events(stream)) == [
            json.loads(line(1)),
            Torn(2),
            json.loads(line(2)),
            Torn(4),
            Torn(5),
            Torn(6),
        ]


def test_links_are_no_files_of_the_store(store: Path, tmp_path: Path) -> None:
    store.mkdir()
    (tmp_path / "other.jsonl").write_bytes(b"not ours, not whole")
    (store / "a.jsonl").symlink_to(tmp_path / "other.jsonl")
    assert list(event_files(store)) == []
    assert repair(store) == 0


def test_old_drafts_are_removed_and_young_ones_kept(store: Path) -> None:
    store.mkdir()
    for name, age in (("old", 7200), ("young", 60)):
        draft = store / f"{name}.jsonl.new"
        draft.touch()
        moment = datetime.now(UTC).timestamp() - age
        os.utime(draft, (moment, moment))
    assert list(event_files(store)) == []
    assert [path.name for path in store.iterdir()] == ["young.jsonl.new"]


# The key


def test_processes_that_ask_at_once_get_the_same_key(store: Path) -> None:
    program = "import sys; from pathlib import Path; from mlops_scoring.collection.keys import store_key; "
    program += "sys.stdin.read(); print(store_key(Path(sys.argv[1])).hex())"
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    with ThreadPoolExecutor(len(processes)) as threads:  # `communicate` is what lets each of them begin
        keys = set(threads.map(lambda process: process.communicate()[0], processes))
    assert keys == {store_key(store).hex().encode() + b"\n"}
    assert [path.name for path in store.iterdir()] == [".key"]


def test_a_key_that_others_can_read_or_that_is_cut_short_is_not_used(store: Path) -> None:
    store_key(store)
    (store / ".key").chmod(0o640)
    with pytest.raises(UnusableKey, match="0640"):
        store_key(store)
    (store / ".key").chmod(0o600)
    (store / ".key").write_bytes(b"short")
    with pytest.raises(UnusableKey, match="32 bytes"):
        store_key(store)

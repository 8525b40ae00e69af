"""Logs: bounded, by a thread of their own, and never a reason not to serve."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

from tests.scoring.rig import PATIENCE, Supervised, await_truth, make_code, make_deployment

from mlops_scoring.supervisor.logs import KEPT, MAX_BYTES, LogFiles, Tail


def test_a_log_is_rotated_by_size_and_the_oldest_part_dropped(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path, max_bytes=100)
    for number in range(20):
        logs.write("blue", b"%030d\n" % number)
    logs.close(PATIENCE)
    parts = sorted(tmp_path.iterdir())
    assert [path.name for path in parts] == ["blue.log", "blue.log.1", "blue.log.2"]
    assert len(parts) == KEPT
    assert all(path.stat().st_size <= 100 for path in parts)
    kept = b"".join(path.read_bytes() for path in reversed(parts)).split()
    assert kept == [b"%030d" % number for number in range(20 - len(kept), 20)]
    assert logs.lost == 0


def test_a_log_that_nobody_writes_any_more_is_not_held_open(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path)
    logs.write("blue", b"x\n")
    logs.release("blue")
    logs.write("green", b"x\n")
    await_truth((tmp_path / "green.log").exists, "all before it is written")
    held = {path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
    assert tmp_path / "blue.log" not in held
    logs.write("blue", b"y\n")
    logs.close(PATIENCE)
    assert (tmp_path / "blue.log").read_bytes() == b"x\ny\n"


def test_a_log_goes_on_where_an_earlier_run_ended(tmp_path: Path) -> None:
    for text in (b"first\n", b"second\n"):
        logs = LogFiles(tmp_path)
        logs.write("blue", text)
        logs.close(PATIENCE)
    assert (tmp_path / "blue.log").read_bytes() == b"first\nsecond\n"


def test_logs_of_workers_long_gone_are_deleted(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path)
    for number in range(100):
        logs.write(f"blue-{number}", b"x\n")
    logs.close(PATIENCE)
    assert (tmp_path / "blue-99.log").exists()
    for number in range(60):
        (tmp_path / f"old-{number}.log").touch()
    logs = LogFiles(tmp_path)
    logs.write("new", b"x\n")
    logs.close(PATIENCE)
    assert len(list(tmp_path.iterdir())) <= 42


def test_a_full_disk_is_counted_and_otherwise_ignored(tmp_path: Path) -> None:
    """`/dev/full` refuses every write as a full disk does."""
    (tmp_path / "full.log").symlink_to("/dev/full")
    logs = LogFiles(tmp_path)
    for _ in range(3):
        logs.write("full", b"lost\n")
    logs.write("good", b"kept\n")
    logs.close(PATIENCE)
    assert logs.lost == 3
    assert (tmp_path / "good.log").read_bytes() == b"kept\n"


def test_the_tail_has_the_last_lines_however_they_arrive() -> None:
    tail = Tail()
    for piece in (b"one\ntw", b"o\nthree\nfour\nfive\n", b"six\nseven\nunfin", b"ished"):
        tail.feed(piece)
    assert tail.lines == ["four", "five", "six", "seven", "unfinished"]
    tail.feed(b" now \xff\n" + b"x" * 10_000)
    assert tail.lines[-2:] == ["unfinished now \ufffd", "x" * 500]


def test_an_endpoint_serves_and_restarts_workers_when_its_logs_cannot_be_written(
    supervised: Supervised, tmp_path: Path
) -> None:
    source = "def init(): print('begin')\ndef run(data):\n    print('line')\n    return 1\n"
    supervised.directory.mkdir()
    logs = supervised.directory / "logs"
    logs.mkdir()
    for name in ("blue-1-0", "supervisor"):
        (logs / f"{name}.log").symlink_to("/dev/full")
    deployments = {"blue-1": make_deployment(make_code(tmp_path / "code", source))}
    supervised.start(supervised.document(deployments, {"blue-1": 100}))
    supervised.await_state("blue-1", "Healthy")
    assert [supervised.score().status for _ in range(10)] == [200] * 10
    await_truth(lambda: supervised.status()["log_writes_lost"] > 0, "lost lines are counted")
    await_truth(lambda: supervised.report("blue-1")["log_tail"][-1:] == ["line"], "the tail goes on")
    shutil.rmtree(logs)


def test_what_workers_print_is_in_their_log_and_in_the_status(supervised: Supervised, tmp_path: Path) -> None:
    source = (
        "import logging, sys\ndef init():\n    print('printed')\n    print('complained', file=sys.stderr)\n"
        "    logging.info('logged')\n    print('y' * 7_000_000)\n    print('last')\ndef run(data): return 1\n"
    )
    deployments = {"blue-1": make_deployment(make_code(tmp_path / "code", source))}
    supervised.start(supervised.document(deployments, {"blue-1": 100}))
    supervised.await_state("blue-1", "Healthy")
    await_truth(lambda: supervised.report("blue-1")["log_tail"][-1:] == ["last"], "its last line is here")
    folder = supervised.directory / "logs"
    log = folder / "blue-1-0.log"

    def written() -> bool:
        with contextlib.suppress(FileNotFoundError):  # in the moment in which it is put aside
            content = log.read_bytes()
            return b'"message": "last"' in content and content.endswith(b"\n")
        return False

    await_truth(written, "all is written")
    text = b"".join(path.read_bytes() for path in sorted(folder.glob("blue-1-0.log*"), reverse=True)).decode()
    records = [json.loads(line) for line in text.splitlines()]
    short = [(record["logger"], record["message"]) for record in records if "yyy" not in record["message"]]
    assert short[:3] == [("print", "printed"), ("print", "complained"), ("root", "logged")]
    assert sum(len(record["message"]) for record in records if record["message"].startswith("yyy")) == 7_000_000
    assert log.stat().st_size <= MAX_BYTES

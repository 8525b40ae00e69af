"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlops.drivers.local.folders import exclusive, make_once, remove, try_exclusive, write_durably

HOLD = (
    "import sys, time; from pathlib import Path; from mlops.drivers.local.folders import exclusive\n"
    "with exclusive(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)\n"
)


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert try_exclusive(tmp_path / "lock") is None
        holder.kill()
    with exclusive(tmp_path / "lock"):
        assert try_exclusive(tmp_path / "lock") is None


def test_a_child_that_inherits_a_lock_holds_it(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock") as descriptor:
        child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, pass_fds=(descriptor,))
    with child:
        assert try_exclusive(tmp_path / "lock") is None
        child.communicate()
    free = try_exclusive(tmp_path / "lock")
    assert free is not None
    os.close(free)


def test_a_folder_is_filled_once_by_many(tmp_path: Path) -> None:
    filled: list[int] = []

    def fill(part: Path) -> None:
        filled.append(1)
        (part / "file").write_text("content")

    threads = [threading.Thread(target=make_once, args=(tmp_path / "made", fill)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert filled == [1]
    assert (tmp_path / "made" / "file").read_text() == "content"


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from mlops.drivers.local.folders import make_once\n"
        "def fill(part):\n"
        "    (part / 'half').touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "make_once(Path(sys.argv[1]), fill)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, tmp_path / "made"], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / ".made.part" / "half").exists()
    assert not (tmp_path / "made").exists()
    make_once(tmp_path / "made", lambda part: (part / "whole").touch())
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["whole"]


def test_a_failed_filling_leaves_nothing(tmp_path: Path) -> None:
    def fill(part: Path) -> None:
        (part / "half").touch()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        make_once(tmp_path / "made", fill)
    assert [path.name for path in tmp_path.iterdir()] == [".made.lock"]


def test_a_file_that_cannot_be_written_keeps_its_content(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", b"old")
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from mlops.drivers.local.folders import write_durably\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "write_durably(Path(sys.argv[1]), b'x' * 100)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "file"], capture_output=True, text=True, check=False
    )
    assert "OSError" in ran.stderr
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_removing_is_repeatable(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    remove(tmp_path / "folder")
    remove(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []

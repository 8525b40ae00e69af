"""Model files that are not what was declared: a worker says so in one line and does not load them."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.scoring.file_times import await_tick
from tests.scoring.rig import await_truth, launch_worker, make_code, make_deployment

from mlops_scoring.worker import integrity
from mlops_scoring.worker.scoring import StartFailed

SOURCE = """
import os
def init():
    open("loaded", "w").close()
def run(data):
    return "ran"
"""
CONTENT = {"model.txt": b"weights", "more/part.txt": b"more weights"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def declared() -> dict[str, str]:
    return {name: sha256(content) for name, content in CONTENT.items()}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder with what is declared."""
    folder = tmp_path / "model"
    for name, content in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def remove(folder: Path) -> None:
    (folder / "model.txt").unlink()


def change(folder: Path) -> None:
    (folder / "model.txt").write_bytes(b"weightz")


def make_folder(folder: Path) -> None:
    remove(folder)
    (folder / "model.txt").mkdir()


def make_pipe(folder: Path) -> None:
    remove(folder)
    os.mkfifo(folder / "model.txt")


def link_out(folder: Path) -> None:
    (folder.parent / "elsewhere").write_bytes(CONTENT["model.txt"])
    remove(folder)
    (folder / "model.txt").symlink_to(folder.parent / "elsewhere")


def link_folder_out(folder: Path) -> None:
    (folder / "more").rename(folder.parent / "outside")
    (folder / "more").symlink_to(folder.parent / "outside")


def add(folder: Path) -> None:
    (folder / "more" / "sitecustomize.py").write_text("raise SystemExit")


def add_link(folder: Path) -> None:
    (folder / "other").symlink_to("/etc")


def add_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def remove_all(folder: Path) -> None:
    folder.rename(folder.parent / "gone")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (remove, "the model file model.txt cannot be read: No such file or directory"),
        (change, f"the model file model.txt is not the declared one: sha256 {sha256(b'weightz')}"),
        (make_folder, "the model file model.txt is not a regular file"),
        (make_pipe, "the model file model.txt is not a regular file"),
        (link_out, "the model file model.txt is a symbolic link"),
        (link_folder_out, "the model folder has more, which is not declared"),
        (add, "the model folder has more/sitecustomize.py, which is not declared"),
        (add_link, "the model folder has other, which is not declared"),
        (add_pipe, "the model folder has pipe, which is not declared"),
        (remove_all, "the model folder cannot be read: No such file or directory"),
    ],
)
def test_what_is_not_as_declared_is_not_loaded(
    model: Path, short_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    damage(model)
    code = make_code(short_path / "code", SOURCE)
    worker, announced = launch_worker(
        short_path / "w", make_deployment(code, model_directory=str(model), model_files=declared())
    )
    assert worker.process.wait(60) == 3
    assert announced["event"] == "failed"
    assert announced["reason"].startswith(reason)
    assert not (code / "loaded").exists()


def test_a_file_that_is_changed_while_the_model_is_loaded_is_noticed(model: Path, short_path: Path) -> None:
    """The worker never becomes ready, whatever the script has read."""
    pipe = short_path / "gate"
    os.mkfifo(pipe)
    code = make_code(
        short_path / "code",
        f"def init():\n    open({str(pipe)!r}).read()\ndef run(data): return 1\n",
    )

    def swap() -> None:
        with pipe.open("w"):  # opens when init() reads: the files have been checked by then
            change(model)

    thread = threading.Thread(target=swap)
    thread.start()
    worker, announced = launch_worker(
        short_path / "w", make_deployment(code, model_directory=str(model), model_files=declared())
    )
    thread.join()
    assert worker.process.wait(60) == 3
    assert announced["reason"] == "the model file model.txt was changed while the model was loaded"


def test_a_changed_link_count_is_no_change(model: Path) -> None:
    """Another name for the same content touches the inode; contents are compared again."""
    checked = integrity.verify(str(model), declared())
    (model.parent / "second-name").hardlink_to(model / "model.txt")
    checked.confirm()


def test_bytes_that_were_replaced_in_place_with_old_times_are_noticed(model: Path) -> None:
    before = (model / "model.txt").stat()
    checked = integrity.verify(str(model), declared())
    await_tick(model / "model.txt", model.parent / "probe")
    (model / "model.txt").write_bytes(b"weightz")
    os.utime(model / "model.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(StartFailed, match="is not the declared one"):
        checked.confirm()


def test_bytes_that_were_replaced_within_a_tick_of_the_files_clock_are_noticed(model: Path) -> None:
    """Where that clock stands still meanwhile, a change leaves no mark: the marks here are those after it."""

    found: list[integrity.Checked] = []

    def quick() -> bool:
        (model / "model.txt").write_bytes(CONTENT["model.txt"])
        found[:] = [integrity.verify(str(model), declared())]
        return "model.txt" in found[0].young

    await_truth(quick, "a check right after a change")
    (model / "model.txt").write_bytes(b"weightz")
    after = integrity.verify(str(model), declared() | {"model.txt": sha256(b"weightz")})
    with pytest.raises(StartFailed, match="is not the declared one"):
        replace(found[0], marks=after.marks).confirm()


def test_a_replaced_file_is_noticed(model: Path) -> None:
    checked = integrity.verify(str(model), declared())
    (model / "new").write_bytes(CONTENT["model.txt"])
    (model / "new").rename(model / "model.txt")
    with pytest.raises(StartFailed, match="was changed while the model was loaded"):
        checked.confirm()


def test_large_files_are_read_in_pieces(tmp_path: Path) -> None:
    """1 GiB of nothing is checked with little memory."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    empty = hashlib.sha256()
    for _ in range(1 << 10):
        empty.update(bytes(1 << 20))
    files: Mapping[str, str] = {"large": empty.hexdigest()}
    before = peak()
    integrity.verify(str(tmp_path), files).confirm()
    assert peak() - before < 64 << 20


def peak() -> int:
    """Most memory that this process ever had, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def test_a_model_that_nothing_is_declared_of_is_served(tmp_path: Path, short_path: Path) -> None:
    """Without `model_files` there is nothing to compare with."""
    (tmp_path / "anything").write_bytes(b"x")
    code = make_code(short_path / "code", SOURCE)
    worker, announced = launch_worker(short_path / "w", make_deployment(code, model_directory=str(tmp_path)))
    assert announced == {"event": "ready"}
    worker.process.terminate()
    await_truth(lambda: worker.process.poll() is not None, "the worker ends")

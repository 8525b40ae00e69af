"""Reading and writing objects, with the real binary as the judge."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from tests.unit.git.room import Calls, git, make_repository, objects

from mlops.git import GitRepository
from mlops.git.storage import (
    LOOSE_LIMIT,
    NewObject,
    ObjectKind,
    TreeEntry,
    make_object,
    make_tree,
    read_tree,
    write_objects,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "r")


@pytest.fixture(params=["sha1", "sha256"])
def hashed(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return make_repository(tmp_path / "hashed", f"--object-format={request.param}")


def _blobs(count: int, hash_name: str = "sha1") -> list[NewObject]:
    return [make_object(ObjectKind.BLOB, f"{number}\n".encode() * number, hash_name) for number in range(count)]


@pytest.mark.parametrize("count", [1, LOOSE_LIMIT, LOOSE_LIMIT + 1])
def test_what_was_written_is_what_git_reads(hashed: Path, count: int) -> None:
    with GitRepository.open(hashed) as repository:
        blobs = _blobs(count, repository.hash_name)
        write_objects(repository.command, blobs, repository.hash_name)
        found = repository.objects.read(blob.oid for blob in blobs)
        assert [one.content for one in found if one is not None] == [blob.content for blob in blobs]
    assert {blob.oid for blob in blobs} <= objects(hashed)
    git(hashed, "fsck", "--strict")


def test_writing_again_what_is_there_changes_nothing(root: Path) -> None:
    with GitRepository.open(root) as repository:
        for _ in range(2):
            write_objects(repository.command, [*_blobs(3), *_blobs(3)], "sha1")
        assert len(objects(root)) == 3 + 3


def test_a_tree_has_the_order_and_the_id_that_git_gives_it(root: Path) -> None:
    blob = git(root, "hash-object", "-w", "--stdin", data="x")
    names = ["a", "a.b", "a-b", "b", "z", "ab"]
    entries = {name: TreeEntry("100644", blob) for name in names if name != "a"}
    inner = git(root, "mktree", data=f"100644 blob {blob}\tx\n")
    entries["a"] = TreeEntry("40000", inner)
    listing = "".join(f"100644 blob {blob}\t{name}\n" for name in names if name != "a") + f"040000 tree {inner}\ta\n"
    made = make_tree(entries, "sha1")
    assert made.oid == git(root, "mktree", data=listing)
    assert read_tree(made.content, "sha1") == entries


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 2047, 2048, 262143, 262144, 1_000_000])
def test_objects_of_every_length_of_header_arrive(root: Path, size: int) -> None:
    blob = make_object(ObjectKind.BLOB, b"x" * size, "sha1")
    with GitRepository.open(root) as repository:
        write_objects(repository.command, [blob], "sha1")
    assert git(root, "cat-file", "-s", blob.oid) == str(size)


def test_missing_objects_are_none_and_the_others_keep_their_place(root: Path) -> None:
    with GitRepository.open(root) as repository:
        found = repository.objects.read(["HEAD", "refs/heads/none", "HEAD:nope", "HEAD:a.txt", "f" * 40])
    assert [one.kind if one is not None else None for one in found] == ["commit", None, None, "blob", None]


def test_many_names_and_large_contents_do_not_block_the_pipe(root: Path) -> None:
    blob = make_object(ObjectKind.BLOB, b"x" * 200_000, "sha1")
    with GitRepository.open(root) as repository:
        write_objects(repository.command, [blob], "sha1")
        names = [blob.oid, "f" * 40] * 1000
        assert sum(one is not None for one in repository.objects.read(names)) == 1000
        assert sum(one is not None for one in repository.objects.stream(iter(names))) == 1000


def test_a_reader_that_was_killed_is_started_again(root: Path) -> None:
    calls = Calls()
    with GitRepository.open(root, before=calls) as repository:
        assert repository.objects.read(["HEAD"])[0] is not None
        _kill_children()
        assert repository.objects.read(["HEAD"])[0] is not None
    assert calls.made.count("cat-file") == 2


def _kill_children() -> None:
    """End the Git processes that this test has started, as running out of memory would."""
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        for child in (task / "children").read_text().split():
            if Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"git\0"):
                os.kill(int(child), signal.SIGKILL)


def test_objects_that_others_write_meanwhile_are_seen(root: Path) -> None:
    with GitRepository.open(root) as repository:
        assert repository.objects.read(["refs/heads/later"]) == [None]
        git(root, "branch", "later")
        assert repository.objects.read(["refs/heads/later"])[0] is not None


def test_a_name_with_a_line_break_cannot_ask_for_another_object(root: Path) -> None:
    with GitRepository.open(root) as repository, pytest.raises(ValueError, match="Not the name"):
        repository.objects.read(["HEAD\nHEAD"])


def test_threads_get_their_own_answers(root: Path) -> None:
    names = [git(root, "hash-object", "-w", "--stdin", data=f"{number}") for number in range(8)]
    wrong: list[str] = []

    def read(number: int) -> None:
        for _ in range(50):
            found = repository.objects.read([names[number]])[0]
            if found is None or found.content != str(number).encode():
                wrong.append(names[number])

    with GitRepository.open(root) as repository:
        threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong

"""Making Git objects and writing many of them with one process.

The objects travel as a packfile stream (gitformat-pack(5)). A few become loose objects, many stay one pack: a loose
object costs one flush to the disk each, a pack two in all.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from mlops.git.command import GitCommand, failed

LOOSE_LIMIT = 40
"""More new objects than this are written as one pack."""

_VERSION = 2


class ObjectKind(IntEnum):
    """Kinds of objects, with their numbers in a packfile."""

    COMMIT = 1
    TREE = 2
    BLOB = 3


@dataclass(frozen=True, slots=True)
class NewObject:
    """An object that may not be in the repository yet, and the id that it has there."""

    kind: ObjectKind
    content: bytes
    oid: str


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One name in a tree: mode ("100644" for a file, "40000" for a folder) and object."""

    mode: str
    oid: str


def make_object(kind: ObjectKind, content: bytes, hash_name: str) -> NewObject:
    """Compute the id of an object as Git does, with the repository's hash ("sha1" or "sha256")."""
    header = f"{kind.name.lower()} {len(content)}\0".encode()
    return NewObject(kind, content, hashlib.new(hash_name, header + content, usedforsecurity=False).hexdigest())


def make_tree(entries: Mapping[str, TreeEntry], hash_name: str) -> NewObject:
    """A tree in Git's order, in which a folder's name counts as if it ended in a slash."""
    ordered = sorted(entries.items(), key=lambda item: item[0] + "/" if item[1].mode == "40000" else item[0])
    content = b"".join(f"{entry.mode} {name}\0".encode() + bytes.fromhex(entry.oid) for name, entry in ordered)
    return make_object(ObjectKind.TREE, content, hash_name)


def read_tree(content: bytes, hash_name: str) -> dict[str, TreeEntry]:
    """The entries of a tree object.

    Raises:
        ValueError: It is not a tree.
    """
    width = hashlib.new(hash_name, usedforsecurity=False).digest_size
    entries: dict[str, TreeEntry] = {}
    position = 0
    while position < len(content):
        end = content.index(b"\0", position)
        mode, _, name = content[position:end].decode("utf-8", "surrogateescape").partition(" ")
        position = end + 1 + width
        entries[name] = TreeEntry(mode, content[end + 1 : position].hex())
    return entries


def _packed(new: NewObject) -> bytes:
    size = len(new.content)
    byte = (new.kind << 4) | (size & 0x0F)
    size >>= 4
    head = bytearray()
    while size:
        head.append(byte | 0x80)
        byte = size & 0x7F
        size >>= 7
    head.append(byte)
    return bytes(head) + zlib.compress(new.content, 1)


def make_packfile(objects: Iterable[NewObject], hash_name: str) -> bytes:
    """A packfile stream of whole objects (no deltas)."""
    parts = [_packed(new) for new in objects]
    body = b"PACK" + struct.pack(">II", _VERSION, len(parts)) + b"".join(parts)
    return body + hashlib.new(hash_name, body, usedforsecurity=False).digest()


def write_objects(command: GitCommand, objects: Iterable[NewObject], hash_name: str) -> str | None:
    """Write objects durably; those that are there already cost nothing.

    Returns:
        The name of the pack that was made, where they were many.

    Raises:
        MlopsError: The repository cannot be written, or Git was ended on the way. Nothing refers to what was written.
    """
    distinct = {new.oid: new for new in objects}
    many = len(distinct) > LOOSE_LIMIT
    arguments = ("index-pack", "--stdin") if many else ("unpack-objects", "-q")
    answer = command.run(arguments, make_packfile(distinct.values(), hash_name))
    if answer.code != 0:
        raise failed(arguments, answer, command.directory)
    return answer.text.rpartition("\t")[2] if many else None
